// SPDX-License-Identifier: Apache-2.0

#include "framework/quant/pipeline/turned_sink.hpp"

#include <utility>

#include "framework/quant/block/block_parts.hpp"
#include "framework/tensor/dtype.hpp"

namespace tessera::quant {

Result<Checkpoint> TurnedSink::resume(const std::string& fingerprint) {
  return sink_.resume(fingerprint);
}

Status TurnedSink::put_weight(const std::string& name,
                              format::WeightData weight,
                              const LinearChoice& choice) {
  return sink_.put_weight(name, std::move(weight), choice);
}

Status TurnedSink::put_floats(const std::string& name,
                              std::vector<float> values,
                              const std::vector<uint64_t>& shape) {
  return sink_.put_floats(name, std::move(values), shape);
}

Status TurnedSink::put_attention(uint32_t layer, AttentionScales scales) {
  return sink_.put_attention(layer, std::move(scales));
}

Status TurnedSink::keep(const std::string& name) {
  TSR_ASSIGN_OR_RETURN(const SourceTensor tensor, turned_.tensor(name));
  const uint64_t count = tensor.bytes.size() / dtype_bytes(tensor.dtype, 1);
  TSR_ASSIGN_OR_RETURN(std::vector<float> values,
                       read_values(turned_, name, count));
  return sink_.put_floats(name, std::move(values), tensor.shape);
}

Status TurnedSink::checkpoint(uint32_t num_layers, const std::string& notes,
                              std::span<const float> hidden) {
  return sink_.checkpoint(num_layers, notes, hidden);
}

Status TurnedSink::finish() { return sink_.finish(); }

}  // namespace tessera::quant
