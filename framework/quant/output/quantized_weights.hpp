// SPDX-License-Identifier: Apache-2.0
//
// A quantized model in memory, for measuring it before anything is written.

#pragma once

#include <map>
#include <string>
#include <vector>

#include "framework/base/status.hpp"
#include "framework/graph/weight_source.hpp"
#include "framework/quant/pipeline/quantize_model.hpp"

namespace tessera::quant {

class QuantizedWeights final : public QuantizedSink {
 public:
  Status put_weight(const std::string& name, format::WeightData weight,
                    const LinearChoice& choice) override;
  Status put_floats(const std::string& name, std::vector<float> values,
                    const std::vector<uint64_t>& shape) override;
  Status put_attention(uint32_t layer, AttentionScales scales) override;
  Status keep(const std::string& name) override;

  // What was put; everything else comes from `original`.
  // Requires  this and `original` outlive the result.
  WeightSource source(const WeightSource& original) const;

 private:
  struct Stored {
    format::WeightData weight;
    LinearChoice choice;
  };
  struct Floats {
    std::vector<float> values;
    std::vector<uint64_t> shape;
  };
  std::map<std::string, Stored> weights_;
  std::map<std::string, Floats> floats_;
  std::map<uint32_t, AttentionScales> attention_;
};

}  // namespace tessera::quant
