// SPDX-License-Identifier: Apache-2.0
//
// The costs of a problem by where they stand: what is timed goes there, and
// what is only believed is scaled there.

#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <tuple>
#include <utility>
#include <vector>

#include "framework/planner/problem/problem.hpp"
#include "framework/tuning/plan/plan_problem.hpp"

namespace tessera {

// A segment class on a device with all its linears in a scheme.
struct CostPlace {
  uint32_t index = 0;  // of the segment class
  uint32_t device = 0;
  uint32_t scheme = 0;

  bool operator<(const CostPlace& other) const {
    return std::tie(index, device, scheme) <
           std::tie(other.index, other.device, other.scheme);
  }
};

// Device and scheme.
using Placement = std::pair<uint32_t, uint32_t>;

// What the classes of a problem are of.  All outlive it.
struct ProbedClasses {
  const ProblemInputs& inputs;
  // By segment class: one segment of that class, its first linear class.
  const std::vector<const GraphSegment*>& segments;
  const std::vector<uint32_t>& first_linear;

  TimedCell cell_of(const CostPlace& place) const {
    return {inputs.devices[place.device], segments[place.index],
            &inputs.schemes[place.scheme]};
  }
};

// What a linear takes in a segment that was timed with its linears in one
// scheme, where all its other ops are charged with `own`.  What they took in
// that run beyond this, or less, goes to the linears by what each takes: a
// segment in one scheme then takes what it was timed to take, however records
// share that out.
//
// linear  one of timed.linears
PhaseCosts costs_beside(const std::array<std::optional<planner::Cost>, 2>& own,
                        const SegmentCost& timed, const LinearCost& linear);

// Puts what was timed of a weight's segment into its cell; what is refused
// has no costs any more.
//
// index     of the segment class
// Requires  take_site() for it
void take_cell(const SegmentCost& timed, uint32_t index, uint32_t weight,
               planner::Cell& cell, planner::LinearClass& entry,
               const planner::Problem& problem);

// Puts what all but linears took into the segment class; take_site() does not
// where what stands there was timed too.
void put_site(const SegmentCost& timed, uint32_t index, uint32_t device,
              planner::Problem& problem);
void take_site(const SegmentCost& timed, uint32_t index, uint32_t device,
               planner::Problem& problem);

// Of one segment beside several schemes, into `own`: the ops between linears
// cost the same whatever the scheme, so the least of several measurements is
// the nearest.
void keep_least(const SegmentCost& cost, std::optional<SegmentCost>& own);

// Multiplies what wall-clock devices estimated; simulated ones have nothing
// else.
void scale_estimates(double factor, planner::Problem& problem);

// Multiplies what is kept of a device, by phase, and a little less than that:
// it is worth timing anew.
void mark_stale(uint32_t device, const std::array<double, 2>& ratio,
                planner::Problem& problem);

// The same of what was timed now, too.
void doubt_times(uint32_t device, const std::array<double, 2>& ratio,
                 planner::Problem& problem);

// Multiplies all that wall-clock devices take, what they lose where a plan
// changes device too, by phase.
void scale_times(const std::array<double, 2>& ratio, planner::Problem& problem);

// Takes that little away again.
void end_stale_optimism(planner::Problem& problem);

// Of a workload.
double work_ns(const planner::Problem& problem, uint32_t phase, double ns);

}  // namespace tessera
