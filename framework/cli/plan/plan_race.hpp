// SPDX-License-Identifier: Apache-2.0
//
// Runs plans against each other, in turns.

#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "framework/base/status.hpp"
#include "framework/bench/statistics/median_interval.hpp"
#include "framework/cli/plan/plan_inputs.hpp"
#include "framework/cli/plan/screening_rules.hpp"
#include "framework/planner/planner.hpp"
#include "framework/runtime/rounded_weights.hpp"
#include "framework/runtime/stages/residents.hpp"

namespace tessera::cli {

// A plan, and what its runs took.
struct Contender {
  std::string name;
  planner::Assignment assignment;
  planner::Prediction prediction;
  std::vector<double> prefill;
  std::vector<double> decode;  // of a step
  std::vector<double> total;   // of the workload
  std::vector<double> loads;   // the workload's median of each load
  // Its time to the first one's in a trial, where that ruled it out.
  std::optional<double> hopeless;
};

// How often plans are loaded and run.  Where a load puts buffers makes a
// percent, so only loads are samples that tell two plans apart.
struct RaceLength {
  uint32_t loads = 1;
  uint32_t rounds = 1;  // of each load, after one to warm up
  // Whoever's time to the first of them is known that well, or is that much
  // above 1 beyond chance, is not loaded again (is_settled()).  0: all are.
  double settled = 0.0;
};

// What a plan takes by its prediction.
struct RunTimes {
  double trial_ns = 0.0;
  double run_ns = 0.0;
  double workload_ns = 0.0;
};

// Of runs beside `first`, by whose speed it is chosen how many steps they have.
RunTimes run_times(const planner::Workload& work, const Contender& first,
                   const planner::Prediction& prediction);

// What it is made from outlives it.
class PlanRace {
 public:
  PlanRace(const PlanInputs& inputs, const planner::Problem& problem);

  // Loads all at once, and runs them in turns, in another order each round;
  // what they take is added to what is known of them.  Plans that have a
  // weight in common hold it once, so that they differ in their decisions and
  // not in where the same weight lies; each load places all anew.
  //
  // is_late  asked before each load but the first: true ends the race
  // Errors   those of the sessions
  Status run(
      const std::vector<Contender*>& contenders, const RaceLength& length,
      const std::function<bool()>& is_late = [] { return false; });

  // Loads `own`, which from now on is held, with weights that plans beside it
  // leave, until end_screening().
  //
  // Returns  how long that took, in ns
  // Errors   those of the session
  Result<double> begin_screening(Contender& own);

  // Runs `own` and others beside it in turns.
  //
  // Requires  begin_screening()
  // Errors    those of the sessions
  Status screen(const std::vector<Contender*>& others, const Screening& how);

  void end_screening();

  // What the plan takes for the workload by its prediction.
  double predicted_ns(const planner::Prediction& prediction) const;

  // Of plans that are loaded at once, together at most.
  uint64_t bytes_at_once() const;

 private:
  // A plan that is loaded.
  struct Runner {
    Contender* contender = nullptr;
    std::shared_ptr<Session> session;
    RunRange took;
  };

  Result<Runner> open(Contender& contender, Residents& shared) const;
  Status run_load(const std::vector<Contender*>& contenders, uint32_t rounds);
  Status run_trial(std::vector<Runner>& runners, const Screening& how);
  Status warm_up(std::vector<Runner>& runners);
  Status run_round(std::vector<Runner>& runners);

  const PlanInputs& inputs_;
  const planner::Problem& problem_;
  RoundedWeights rounded_;
  std::unique_ptr<Residents> left_;  // of a screening
  std::optional<Runner> home_;       // its own plan
  std::mt19937 rng_{42};
};

// The plan itself under `problem`, which may ask less of it than what it was
// made for.
//
// Errors  those of planner::predict()
Result<Contender> own_contender(const planner::Problem& problem,
                                const planner::MadePlan& made);

// One's times to another's, which may have more behind those of the same runs
// or loads.
std::vector<double> ratios_of(const std::vector<double>& one,
                              const std::vector<double>& to);

// "1.012 [0.998, 1.020]".
std::string ratio_text(const bench::MedianInterval& ratio);

// Of a prediction, by the wall clock.
double wall_ns(const std::map<std::string, double>& times);

}  // namespace tessera::cli
