// SPDX-License-Identifier: Apache-2.0
//
// Runs plans against each other, in turns.

#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "framework/base/status.hpp"
#include "framework/bench/statistics/median_interval.hpp"
#include "framework/cli/plan/plan_inputs.hpp"
#include "framework/planner/planner.hpp"

namespace tessera::cli {

// A plan, and what its runs took.
struct Contender {
  std::string name;
  planner::Assignment assignment;
  planner::Prediction prediction;
  std::vector<double> prefill;
  std::vector<double> decode;  // of a step
  std::vector<double> total;   // of the workload
};

// How often plans are loaded and run.  Where a load puts buffers makes a
// percent, so only loads are samples that tell two plans apart.
struct RaceLength {
  uint32_t loads = 1;
  uint32_t rounds = 1;  // of each load, after one to warm up
};

// What it is made from outlives it.
class PlanRace {
 public:
  PlanRace(const PlanCommandOptions& options, const PlanInputs& inputs,
           const planner::Problem& problem)
      : options_(options), inputs_(inputs), problem_(problem) {}

  // Loads all at once, and runs them in turns, in another order each round;
  // what they take is added to what is known of them.
  //
  // Errors  those of the sessions
  Status run(const std::vector<Contender*>& contenders,
             const RaceLength& length);

  // What the plan takes for the workload by its prediction.
  double predicted_ns(const planner::Prediction& prediction) const;

 private:
  Result<std::unique_ptr<Session>> open(const Contender& contender) const;
  Status run_round(const std::vector<Contender*>& contenders,
                   const std::vector<std::unique_ptr<Session>>& sessions,
                   bool counts);

  const PlanCommandOptions& options_;
  const PlanInputs& inputs_;
  const planner::Problem& problem_;
  std::mt19937 rng_{42};
};

// The plan itself under `problem`, which may ask less of it than what it was
// made for.
//
// Errors  those of planner::predict()
Result<Contender> own_contender(const planner::Problem& problem,
                                const planner::MadePlan& made);

// One to the other, run by run.
//
// Requires  they ran in the same rounds
std::vector<double> time_ratios(const Contender& one, const Contender& to);

// "1.012 [0.998, 1.020]".
std::string ratio_text(const bench::MedianInterval& ratio);

// Of a prediction, by the wall clock.
double wall_ns(const std::map<std::string, double>& times);

}  // namespace tessera::cli
