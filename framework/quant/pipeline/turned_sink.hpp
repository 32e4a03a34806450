// SPDX-License-Identifier: Apache-2.0
//
// A rotated model on its way into a sink that knows the original: nothing in it
// is as in the file.

#pragma once

#include <string>
#include <vector>

#include "framework/graph/weight_source.hpp"
#include "framework/quant/pipeline/quantized_sink.hpp"

namespace tessera::quant {

// Requires  `turned` and `sink` outlive this.
class TurnedSink final : public QuantizedSink {
 public:
  TurnedSink(const WeightSource& turned, QuantizedSink& sink)
      : turned_(turned), sink_(sink) {}

  Result<Checkpoint> resume(const std::string& fingerprint) override;
  Status put_weight(const std::string& name, format::WeightData weight,
                    const LinearChoice& choice) override;
  Status put_floats(const std::string& name, std::vector<float> values,
                    const std::vector<uint64_t>& shape) override;
  Status put_attention(uint32_t layer, AttentionScales scales) override;
  Status keep(const std::string& name) override;
  Status checkpoint(uint32_t num_layers, const std::string& notes,
                    std::span<const float> hidden) override;
  Status finish() override;

 private:
  const WeightSource& turned_;
  QuantizedSink& sink_;
};

}  // namespace tessera::quant
