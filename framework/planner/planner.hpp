// SPDX-License-Identifier: Apache-2.0
//
// From a problem to a plan: a pure function.

#pragma once

#include <map>
#include <string>

#include "framework/base/status.hpp"
#include "framework/planner/plan_file/plan_file.hpp"
#include "framework/planner/problem/assignment.hpp"
#include "framework/planner/problem/build_chain.hpp"
#include "framework/planner/problem/problem.hpp"
#include "framework/planner/solver/solve.hpp"

namespace tessera::planner {

struct PlanOptions {
  SolveLimits solve;
  bool contingencies = true;  // a plan for the loss of each device
  bool margins = true;        // second best, margins and reasons of each layer
  bool explain = true;        // say which limits clash where there is no plan
};

struct MadePlan {
  PlanFile file;  // what was measured of it is the caller's
  Assignment assignment;
  Solution solution;
};

// The best plan within the limits, or one whose distance from the best is
// proven.
//
// Errors  those of build_chain();
//         RESOURCE_EXHAUSTED if no plan keeps the limits, saying which clash
//         and by how much, or if none was found and none is ruled out
Result<MadePlan> make_plan(const Problem& problem, const PlanOptions& options);

// Another assignment in place of the plan's, though it costs no less by what is
// predicted: predictions, margins and contingencies are that one's.  What was
// measured of the plan is not.
//
// why       goes into the file
// Requires  `made` is of `problem`, or of one with tighter limits
// Errors    those of build_chain() and to_choice()
Result<MadePlan> put_in_place(const MadePlan& made, const Assignment& instead,
                              const std::string& why, const Problem& problem,
                              const PlanOptions& options);

// What an assignment adds up to, whatever made it.
struct Prediction {
  double objective = 0.0;
  bool feasible = false;
  std::map<std::string, double> prefill_ns;  // by clock
  std::map<std::string, double> decode_ns;   // of one step
  double energy_nj = 0.0;
  double kl = 0.0;                         // of the worse phase
  std::map<std::string, uint64_t> memory;  // by pool
};

// Errors: those of to_choice().
Result<Prediction> predict(const Problem& problem, const BuiltChain& built,
                           const Assignment& assignment);

// Devices and schemes of an assignment as a plan, without predictions, margins
// and contingencies.
PlanFile plan_of(const Problem& problem, const BuiltChain& built,
                 const Assignment& assignment);

// `problem` without a device.
//
// Requires  another device is left
Problem without_device(const Problem& problem, uint32_t device);

}  // namespace tessera::planner
