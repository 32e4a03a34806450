// SPDX-License-Identifier: Apache-2.0
//
// Where the parts of a quantized model go: memory or files.

#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "framework/base/status.hpp"
#include "framework/format/scheme.hpp"
#include "framework/format/weight.hpp"
#include "framework/graph/attention_scales.hpp"

namespace tessera::quant {

// What whoever feeds a sink needs to go on where another run stopped.
struct Checkpoint {
  uint32_t num_layers = 0;    // all of whose parts the sink has; 0: no work
  std::string notes;          // JSON
  std::vector<float> hidden;  // what comes into the next layer
};

// Takes the parts of the result as they are made, layers in ascending order.
// Names are those of the tensors in the file.
class QuantizedSink {
 public:
  virtual ~QuantizedSink() = default;

  // Called first.  What an earlier run of the same `fingerprint` left behind:
  // its layers are not put again.  A sink that keeps nothing has nothing.
  virtual Result<Checkpoint> resume(const std::string& fingerprint);

  virtual Status put_weight(const std::string& name, format::WeightData weight,
                            const LinearChoice& choice) = 0;
  // Floats: norms, biases, embeddings and weights in fallback.
  virtual Status put_floats(const std::string& name, std::vector<float> values,
                            const std::vector<uint64_t>& shape) = 0;
  // Static scales of a layer's attention, once the layer is rounded.
  virtual Status put_attention(uint32_t layer, AttentionScales scales) = 0;
  // Floats that are as in the file.
  virtual Status keep(const std::string& name) = 0;

  // What was put so far can be resumed from.
  virtual Status checkpoint(uint32_t num_layers, const std::string& notes,
                            std::span<const float> hidden);

  // After everything was put: what is written appears now, or not at all.
  virtual Status finish();
};

}  // namespace tessera::quant
