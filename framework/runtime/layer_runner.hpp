// SPDX-License-Identifier: Apache-2.0
//
// Part of a graph by itself, with what passes between its ops in sight: how a
// model is calibrated layer by layer without ever being loaded whole.

#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "framework/base/status.hpp"
#include "framework/graph/graph.hpp"
#include "framework/graph/weight_source.hpp"
#include "framework/host/device/device.hpp"
#include "framework/planner/plan.hpp"
#include "framework/runtime/stage.hpp"

namespace tessera {

// All but the device outlives the runner.
struct LayerRunnerInputs {
  const Graph& graph;
  const Plan& plan;
  const WeightSource& source;
  std::shared_ptr<Device> device;
};

struct LayerRunnerOptions {
  uint32_t max_tokens = 2048;  // of one run, all texts together
  uint32_t max_texts = 64;     // of one run
  uint32_t max_context = 0;    // tokens of the longest text
};

// Graph tensor `id` as [num_tokens, elements / num_tokens], F32.
struct LayerTensor {
  uint32_t id = TSR_NONE;
  std::span<const float> values;
};

// The ops of one layer (kBeforeLayers, an index, kAfterLayers).  One thread at
// a time.
class LayerRunner {
 public:
  // `observed` are tensors that the layer writes.  What later layers read is
  // observed too.
  //
  // Errors  those of the device, naming the op or the weight; NOT_FOUND if the
  //         graph has no such layer
  static Result<std::unique_ptr<LayerRunner>> create(
      const LayerRunnerInputs& inputs, int32_t layer,
      const std::vector<uint32_t>& observed, const LayerRunnerOptions& options);

  // Tensors of earlier layers that this one reads.
  std::vector<uint32_t> inputs() const;

  // Runs whole texts, each a sequence of its own, all tokens as prefill.
  // Inputs have a row per token, texts one after the other.
  //
  // Errors  INVALID_ARGUMENT if the texts are more or longer than the options
  //         say, or an input is missing or has another size; those of the
  //         device
  Status run(std::span<const std::span<const int32_t>> texts,
             std::span<const LayerTensor> inputs);

  // An observed tensor of the last run; valid until the next.
  //
  // Errors  NOT_FOUND if it is not observed
  Result<std::span<const float>> output(uint32_t id);

 private:
  LayerRunner(const LayerRunnerOptions& options, const StepLimits& limits)
      : options_(options), limits_(limits) {}

  Status check(std::span<const std::span<const int32_t>> texts) const;
  void fill(std::span<const std::span<const int32_t>> texts);
  Status write_inputs(std::span<const LayerTensor> inputs);

  LayerRunnerOptions options_;
  StepLimits limits_;
  std::unique_ptr<Stage> stage_;
  StepSize size_;
  std::vector<std::vector<float>> widened_;  // of outputs that are not F32
};

}  // namespace tessera
