// SPDX-License-Identifier: Apache-2.0

#include "framework/graph/weight_source.hpp"

namespace tessera {
namespace {

// TSR_WEIGHT_* of plain floats as they lie in the file; 0 if it has others.
uint32_t float_format(const WeightSource& source, const std::string& name) {
  const Result<SourceTensor> tensor = source.tensor(name);
  if (!tensor.ok()) return 0;
  switch (tensor->dtype) {
    case TSR_F32:
      return TSR_WEIGHT_F32;
    case TSR_F16:
      return TSR_WEIGHT_F16;
    case TSR_BF16:
      return TSR_WEIGHT_BF16;
    default:
      return 0;
  }
}

}  // namespace

void mark_stored(const WeightSource& source, Graph& graph) {
  if (source.stored_choice) {
    for (GraphWeight& weight : graph.weights) {
      weight.stored = source.stored_choice(weight.source);
      if (!weight.stored) {
        weight.stored_float = float_format(source, weight.source);
      }
    }
  }
  if (source.attention) {
    for (uint32_t layer = 0; layer < graph.kv.size(); ++layer) {
      graph.kv[layer].stored = source.attention(layer);
    }
  }
}

}  // namespace tessera
