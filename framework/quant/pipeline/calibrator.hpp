// SPDX-License-Identifier: Apache-2.0
//
// Takes calibration texts through a model one layer at a time, and watches what
// the linears of a layer are fed.

#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "framework/base/status.hpp"
#include "framework/graph/graph.hpp"
#include "framework/graph/weight_source.hpp"
#include "framework/host/device/device.hpp"
#include "framework/quant/activations/input_statistics.hpp"
#include "framework/quant/activations/tensor_observer.hpp"
#include "framework/quant/algebra/parallel.hpp"
#include "framework/quant/pipeline/attention_observer.hpp"
#include "framework/runtime/layer_runner.hpp"

namespace tessera::quant {

struct CaptureOptions {
  bool with_hessian = false;
  uint32_t max_rows = 0;  // rows of input to keep, spread over all texts
};

// What one linear reads; shared by those that read the same tensor.
struct CapturedInput {
  TensorObserver observer;
  InputStatistics statistics;
  std::vector<float> rows;  // [count, K]
};

class LayerCapture {
 public:
  // The input of the linear whose weight is graph weight `weight`.
  // Requires: a linear of the captured layer.
  CapturedInput& input_of(uint32_t weight);

 private:
  friend class Calibrator;
  struct Reader {
    uint32_t weight;
    size_t input;  // in inputs_
  };
  std::vector<uint32_t> tensors_;  // of the graph, one per input
  std::vector<CapturedInput> inputs_;
  std::vector<Reader> readers_;
};

// One thread at a time.
class Calibrator {
 public:
  // Cuts `texts` into batches; at least one, none longer than the graph's
  // context.  Layers run on `device` in `scheme`.
  //
  // Requires  graph outlives this
  // Errors    INVALID_ARGUMENT if there are no texts
  static Result<Calibrator> create(const Graph& graph,
                                   std::shared_ptr<Device> device,
                                   const Scheme& scheme,
                                   std::vector<std::vector<int32_t>> texts);

  uint64_t num_tokens() const { return num_tokens_; }

  // Starts over: what comes into layer 0.
  Status embed(const WeightSource& source);

  // What comes into the layer that is next, [num_tokens, hidden_size].
  std::span<const float> hidden() const { return hidden_; }

  // Stands before layer `layer`, not the first, as another one did whose
  // hidden() this is.
  // Errors: DATA_LOSS if the size is another.
  Status resume(uint32_t layer, std::vector<float> hidden);

  // Runs layer `layer` over what the last advance() left, and collects.
  //
  // Errors  those of the device; INVALID_ARGUMENT, naming the tensor, for NaN
  //         or infinity
  Result<LayerCapture> capture(uint32_t layer, const WeightSource& source,
                               const CaptureOptions& options,
                               const ParallelFor& run);

  // Runs layer `layer`; what it gives is what comes into the next.  `attention`
  // may be null; if not, the graph is one of with_rotated_keys().
  Status advance(uint32_t layer, const WeightSource& source,
                 AttentionObserver* attention);

 private:
  struct Batch {
    size_t first;  // of texts_
    size_t last;
    uint64_t row;  // of hidden_
    uint64_t num_rows;
  };

  Calibrator(const Graph& graph, std::shared_ptr<Device> device,
             const Scheme& scheme, std::vector<std::vector<int32_t>> texts);
  void cut_batches();
  Result<std::unique_ptr<LayerRunner>> open(
      int32_t layer, const WeightSource& source,
      const std::vector<uint32_t>& observed) const;
  Status run_batch(LayerRunner& runner, const Batch& batch,
                   uint32_t input) const;
  LayerCapture prepare(uint32_t layer) const;
  uint32_t output_of(uint32_t layer) const;

  const Graph* graph_;
  std::shared_ptr<Device> device_;
  Plan plan_;
  std::vector<std::vector<int32_t>> texts_;
  std::vector<Batch> batches_;
  uint64_t num_tokens_ = 0;
  uint32_t longest_ = 0;
  uint64_t hidden_size_ = 0;
  uint32_t hidden_tensor_ = TSR_NONE;  // of the graph, which hidden_ holds
  std::vector<float> hidden_;          // [num_tokens, hidden_size]
};

}  // namespace tessera::quant
