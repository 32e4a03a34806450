// SPDX-License-Identifier: Apache-2.0
//
// Times what plans would use, and no more: solves, times, and solves again.

#pragma once

#include <functional>

#include "framework/base/status.hpp"
#include "framework/planner/problem/problem.hpp"
#include "framework/tuning/plan/plan_problem.hpp"

namespace tessera {

// Times what the best plan uses, and what the best plans without each device
// use, into `problem` until they use nothing that was not timed, or `is_late`
// says so.  Then the steps of the plan there is are timed, if that goes from
// device to device and they were not yet.
//
// Requires  maker.make() gave `problem`; its limits and rules may differ
// Errors    those of ProblemMaker::measure_used()
Status time_plans(ProblemMaker& maker, const std::function<bool()>& is_late,
                  planner::Problem& problem);

}  // namespace tessera
