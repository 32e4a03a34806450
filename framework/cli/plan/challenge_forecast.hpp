// SPDX-License-Identifier: Apache-2.0
//
// How long running many plans will take, by what is predicted of them.

#pragma once

#include <cstdint>
#include <set>
#include <tuple>
#include <vector>

#include "framework/cli/plan/plan_race.hpp"
#include "framework/planner/problem/problem.hpp"
#include "framework/planner/rivals.hpp"

namespace tessera::cli {

// Packed weights of plans, each counted once.  The problem outlives it.
class WeightsSeen {
 public:
  explicit WeightsSeen(const planner::Problem& problem) : problem_(problem) {}

  // Bytes of what no plan before had.
  uint64_t add(const planner::Assignment& plan);

 private:
  const planner::Problem& problem_;
  // Segment, linear and cell.
  std::set<std::tuple<uint32_t, uint32_t, uint32_t>> seen_;
};

struct ChallengeWork {
  // So many of the fastest run so often.
  struct Race {
    size_t rivals = 0;
    RaceLength length;
  };
  Screening screening;
  size_t at_once = 1;  // in a screening
  std::vector<Race> races;
  double own_load_ns = 0.0;  // as measured
};

// In ns.  Weights are taken to be loaded at the own plan's pace, those that a
// plan before had at once, and races to be among plans like the own one that
// end no earlier than they may.
double forecast(const planner::Problem& problem, const Contender& own,
                const std::vector<const planner::Rival*>& rivals,
                const ChallengeWork& work);

}  // namespace tessera::cli
