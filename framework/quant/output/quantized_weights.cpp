// SPDX-License-Identifier: Apache-2.0

#include "framework/quant/output/quantized_weights.hpp"

#include <memory>
#include <utility>

#include "framework/quant/pipeline/quantize_linear.hpp"

namespace tessera::quant {
namespace {

// A copy of the planes' descriptions over the same bytes.
format::WeightData borrow(const format::WeightData& weight) {
  format::WeightData result{weight.format, weight.N, weight.K, {}};
  for (const format::Plane& plane : weight.planes) {
    format::Plane view = plane;
    view.borrowed = plane.bytes();
    view.owned.clear();
    result.planes.push_back(std::move(view));
  }
  return result;
}

Result<SourceTensor> decoded_tensor(const format::WeightData& weight) {
  TSR_ASSIGN_OR_RETURN(const std::vector<float> values,
                       decode_values(weight, run_serially()));
  const auto bytes = std::as_bytes(std::span(values));
  auto owner = std::make_shared<const std::vector<std::byte>>(bytes.begin(),
                                                              bytes.end());
  SourceTensor tensor;
  tensor.dtype = TSR_F32;
  tensor.shape = {weight.N, weight.K};
  tensor.bytes = *owner;
  tensor.owner = std::move(owner);
  return tensor;
}

}  // namespace

Status QuantizedWeights::put_weight(const std::string& name,
                                    format::WeightData weight,
                                    const LinearChoice& choice) {
  weights_[name] = {std::move(weight), choice};
  return {};
}

Status QuantizedWeights::put_floats(const std::string& name,
                                    std::vector<float> values,
                                    const std::vector<uint64_t>& shape) {
  floats_[name] = {std::move(values), shape};
  return {};
}

Status QuantizedWeights::put_attention(uint32_t layer, AttentionScales scales) {
  attention_[layer] = std::move(scales);
  return {};
}

Status QuantizedWeights::keep(const std::string& /*name*/) { return {}; }

WeightSource QuantizedWeights::source(const WeightSource& original) const {
  WeightSource source;
  source.tensor = [this,
                   &original](const std::string& name) -> Result<SourceTensor> {
    if (const auto floats = floats_.find(name); floats != floats_.end()) {
      return SourceTensor{TSR_F32,
                          floats->second.shape,
                          std::as_bytes(std::span(floats->second.values)),
                          {}};
    }
    if (const auto weight = weights_.find(name); weight != weights_.end()) {
      return decoded_tensor(weight->second.weight);
    }
    return original.tensor(name);
  };
  source.stored_choice =
      [this](const std::string& name) -> std::optional<LinearChoice> {
    const auto found = weights_.find(name);
    if (found == weights_.end()) return std::nullopt;
    return found->second.choice;
  };
  source.stored =
      [this](const std::string& name) -> Result<format::WeightData> {
    return borrow(weights_.at(name).weight);
  };
  source.attention = [this](uint32_t layer) -> std::optional<AttentionScales> {
    const auto found = attention_.find(layer);
    if (found == attention_.end()) return std::nullopt;
    return found->second;
  };
  return source;
}

}  // namespace tessera::quant
