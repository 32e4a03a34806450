// SPDX-License-Identifier: Apache-2.0
//
// A whole model, layer by layer: calibrate, suppress outliers, choose schemes,
// round, report.  No more than one layer is held in floats.

#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "framework/base/status.hpp"
#include "framework/format/weight.hpp"
#include "framework/graph/weight_source.hpp"
#include "framework/host/device.hpp"
#include "framework/model/config.hpp"
#include "framework/quant/algebra/parallel.hpp"
#include "framework/quant/fallback/fallback.hpp"
#include "framework/quant/recipe/recipe.hpp"

namespace tessera::quant {

// What one linear became.
struct LayerReport {
  std::string name;    // "layers.3.mlp.down_proj"
  std::string scheme;  // the file's floats: "float"
  SchemeReason reason = SchemeReason::kDefault;
  double metric = 0.0;  // sensitivity; 0 without calibration
  bool fallback = false;
  uint64_t parameters = 0;
  uint64_t bytes_in = 0;
  uint64_t bytes_out = 0;
  double mae = 0.0;  // of the weights; 0 for floats
  double mse = 0.0;
  double sqnr_db = 0.0;
  double cosine = 1.0;
  // Why it is in fallback though no rule says so: the scheme cannot hold it.
  std::string note;
};

struct QuantizeReport {
  std::vector<LayerReport> layers;
  std::vector<std::string> warnings;
  // The result has a head of its own though the original has not.
  bool untied_head = false;
};

// Takes the parts of the result as they are made, layers in ascending order.
// Names are those of the tensors in the file.
class QuantizedSink {
 public:
  virtual ~QuantizedSink() = default;
  virtual Status put_weight(const std::string& name, format::WeightData weight,
                            const LinearChoice& choice) = 0;
  // Floats: norms, biases, embeddings and weights in fallback.
  virtual Status put_floats(const std::string& name, std::vector<float> values,
                            const std::vector<uint64_t>& shape) = 0;
  // Static scales of a layer's attention, once the layer is rounded.
  virtual Status put_attention(uint32_t layer, AttentionScales scales) = 0;
  // Floats that are as in the file.
  virtual Status keep(const std::string& name) = 0;
  // After everything was put: what is written appears now, or not at all.
  virtual Status finish() { return {}; }
};

struct QuantizeInputs {
  const ModelConfig& config;
  const WeightSource& source;
  // For calibration; may be null if the recipe asks for nothing that needs it.
  std::shared_ptr<Device> device;
  std::vector<std::vector<int32_t>> texts;  // of calibration
  ParallelFor run = run_serially();
  // Called with the share of the work that is done, from 0 to 1.
  std::function<void(double share)> on_progress = [](double) {};
};

// True if the recipe reads calibration texts.
// Errors  INVALID_ARGUMENT for an unknown scheme
Result<bool> needs_calibration(const Recipe& recipe);

// Quantizes the block linears; the head and the embedding stay floats.
//
// Errors  INVALID_ARGUMENT for an unknown scheme or values that cannot be
//         rounded, naming the layer; FAILED_PRECONDITION if calibration is
//         needed and there are no texts or no device; those of the source, the
//         device and the sink
Result<QuantizeReport> quantize_model(const QuantizeInputs& inputs,
                                      const Recipe& recipe,
                                      QuantizedSink& sink);

}  // namespace tessera::quant
