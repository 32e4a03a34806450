// SPDX-License-Identifier: Apache-2.0
//
// What a scheme does to a model's logits, linear by linear.

#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "framework/base/status.hpp"
#include "framework/eval/evaluate.hpp"
#include "framework/graph/weight_source.hpp"
#include "framework/host/device/device.hpp"
#include "framework/planner/problem/problem.hpp"

namespace tessera {

struct SensitivityInputs {
  const Graph& graph;
  const WeightSource& source;
  std::shared_ptr<Device> device;  // runs every scheme it can
  Scheme base;
  std::vector<Scheme> schemes;
  const std::vector<Document>& documents;  // calibration text
  uint32_t max_context = 0;                // of the longest document
  double seconds = 30.0;                   // for single linears
  std::function<void(double)> on_progress;
};

struct SensitivityReport {
  uint32_t measured = 0;  // linears times schemes
  uint32_t shared = 0;    // that got a share of their scheme's KL instead
  // KL of all linears in a scheme over the sum of its linears', the largest;
  // figures of a scheme whose sum falls short are raised by it.
  double interaction = 1.0;
};

// Fills the KL of every linear and scheme of `problem`: mean KL of the logits
// against the model in its base scheme, with that linear alone quantized.  What
// the time does not suffice for gets a share of what the scheme does to the
// whole model, by the error of its weights.
//
// Errors  those of the device and of reading the model
Result<SensitivityReport> fill_sensitivity(const SensitivityInputs& inputs,
                                           planner::Problem& problem);

}  // namespace tessera
