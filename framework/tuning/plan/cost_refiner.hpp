// SPDX-License-Identifier: Apache-2.0
//
// Times what a plan would use and devices only estimated so far, and tells
// whether what is kept from earlier still holds.

#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <tuple>
#include <utility>
#include <vector>

#include "framework/base/status.hpp"
#include "framework/planner/problem/assignment.hpp"
#include "framework/tuning/plan/plan_problem.hpp"

namespace tessera {

// Multiplies what wall-clock devices estimated; simulated ones have nothing
// else.
void scale_estimates(double factor, planner::Problem& problem);

// What it is made from outlives it.
class CostRefiner {
 public:
  // segments, first_linear  by segment class of the problem: one segment of
  //                         that class, its first linear class
  CostRefiner(const ProblemInputs& inputs,
              const std::vector<const GraphSegment*>& segments,
              const std::vector<uint32_t>& first_linear, CostProbe& probe)
      : inputs_(inputs),
        segments_(segments),
        first_linear_(first_linear),
        probe_(probe) {}

  // Takes down what is in the problem for a segment class on a device with all
  // its linears in a scheme, if that was kept.
  void note(uint32_t index, uint32_t device, uint32_t scheme,
            const SegmentCost& cost);

  // As those of ProblemMaker.
  Result<uint32_t> measure_used(const planner::Assignment& assignment,
                                const std::function<bool()>& is_late,
                                planner::Problem& problem);
  Status measure_rest(const std::function<bool()>& is_late,
                      planner::Problem& problem);
  void end_optimism(planner::Problem& problem) const;
  std::vector<CostDrift> drifts(const planner::Problem& problem) const;

 private:
  struct Place {
    uint32_t index = 0;  // of the segment class
    uint32_t device = 0;
    uint32_t scheme = 0;

    bool operator<(const Place& other) const {
      return std::tie(index, device, scheme) <
             std::tie(other.index, other.device, other.scheme);
    }
  };
  using Placement = std::pair<uint32_t, uint32_t>;  // device, scheme
  using KeptTimes = std::array<SpreadTime, 2>;      // by phase
  using KeptKinds = std::map<uint32_t, KeptTimes>;  // by segment class

  struct Check {
    KeptTimes before{};
    KeptTimes now{};
    bool drifted = false;
  };

  TimedCell cell_of(const Place& place) const;
  std::set<Place> used_untimed(const planner::Assignment& assignment,
                               const planner::Problem& problem) const;
  std::set<Place> choose_sentinels(const planner::Assignment& assignment,
                                   const planner::Problem& problem) const;
  uint32_t count_stale(uint32_t device, const planner::Problem& problem) const;
  Place least_kept(uint32_t device) const;
  Result<Check> check_sentinel(const Place& sentinel);
  Result<std::set<uint32_t>> check_sentinels(const std::set<Place>& sentinels,
                                             planner::Problem& problem);
  Result<uint32_t> take_places(const std::set<Place>& places,
                               const std::function<bool()>& is_late,
                               planner::Problem& problem);
  Status take_times(const Place& place, planner::Problem& problem);

  const ProblemInputs& inputs_;
  const std::vector<const GraphSegment*>& segments_;
  const std::vector<uint32_t>& first_linear_;
  CostProbe& probe_;
  std::map<Placement, KeptKinds> kept_;
  std::set<uint32_t> checked_;            // devices whose sentinels were timed
  std::map<uint32_t, CostDrift> drifts_;  // by device
};

}  // namespace tessera
