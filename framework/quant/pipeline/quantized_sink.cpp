// SPDX-License-Identifier: Apache-2.0
//
// What a sink does that keeps nothing between runs.

#include "framework/quant/pipeline/quantized_sink.hpp"

namespace tessera::quant {

Result<Checkpoint> QuantizedSink::resume(const std::string& /*fingerprint*/) {
  return Checkpoint{};
}

Status QuantizedSink::checkpoint(uint32_t /*num_layers*/,
                                 const std::string& /*notes*/,
                                 std::span<const float> /*hidden*/) {
  return {};
}

Status QuantizedSink::finish() { return {}; }

}  // namespace tessera::quant
