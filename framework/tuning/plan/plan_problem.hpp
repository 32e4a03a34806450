// SPDX-License-Identifier: Apache-2.0
//
// Fills the planner's problem from a model and the devices of this machine.

#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "framework/base/status.hpp"
#include "framework/planner/problem/problem.hpp"
#include "framework/tuning/plan/cost_probe.hpp"

namespace tessera {

struct ProblemInputs {
  const Graph& graph;
  const WeightSource& source;
  std::vector<std::shared_ptr<Device>> devices;  // at least one
  std::vector<Scheme> schemes;                   // at least one
  ProbeOptions probe;
  // Called with a share from 0 to 1.
  std::function<void(double)> on_progress;
};

struct MadeProblem {
  planner::Problem problem;
  ProbeCounts counts;
};

// Devices, costs, transfers and segments.  KL is 0 everywhere, and nothing is
// limited but memory by what each device has.
//
// Errors  those of reading the model, of devices that fail and of the store
Result<MadeProblem> make_problem(const ProblemInputs& inputs);

// Times of copying between host-visible memory of two devices, as a session
// does it where its programs meet.
planner::TransferCurve measure_transfer(uint32_t from, uint32_t to);

}  // namespace tessera
