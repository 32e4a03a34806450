// SPDX-License-Identifier: Apache-2.0
//
// Times what a plan would use and devices only estimated so far.

#pragma once

#include <cstdint>
#include <functional>
#include <set>
#include <vector>

#include "framework/base/status.hpp"
#include "framework/planner/problem/build_chain.hpp"
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

  // As ProblemMaker::measure_used().
  Result<uint32_t> measure_used(const planner::Assignment& assignment,
                                const std::function<bool()>& is_late,
                                planner::Problem& problem);

 private:
  Result<bool> time_used(uint32_t index, uint32_t device,
                         const std::set<uint32_t>& schemes,
                         planner::Problem& problem);
  Status take_times(uint32_t index, uint32_t device, uint32_t scheme,
                    const SegmentCost& cost, planner::Problem& problem);

  const ProblemInputs& inputs_;
  const std::vector<const GraphSegment*>& segments_;
  const std::vector<uint32_t>& first_linear_;
  CostProbe& probe_;
};

}  // namespace tessera
