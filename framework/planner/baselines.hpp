// SPDX-License-Identifier: Apache-2.0
//
// How other runtimes place a model, so that plans can be held against them.

#pragma once

#include <string>
#include <vector>

#include "framework/base/status.hpp"
#include "framework/planner/planner.hpp"

namespace tessera::planner {

struct Baseline {
  std::string name;    // "priority-greedy"
  std::string detail;  // "w8a8_dynamic"; empty if there is no plan
  bool feasible = false;
  Assignment assignment;
  Prediction prediction;
};

// Each with the precision of all linears that suits it best under the limits:
//
//   uniform precision   one scheme, devices as the planner would choose
//   single best device  everything on one device
//   priority-greedy     each segment on the first device that runs it and has
//                       room, in the problem's order (ONNX Runtime)
//   hetero-greedy       the same, counting a fifth more than is needed
//                       (OpenVINO HETERO)
//   first-n-layers      from the first layer on as many as fit go to one
//                       accelerator, the rest to the last device (llama.cpp)
//
// Errors  those of build_chain()
// Source  the projects' documents; references in docs/planner.md
Result<std::vector<Baseline>> find_baselines(const Problem& problem,
                                             const SolveLimits& limits);

}  // namespace tessera::planner
