// SPDX-License-Identifier: Apache-2.0

#include "framework/graph/weight_source.hpp"

namespace tessera {

void mark_stored(const WeightSource& source, Graph& graph) {
  if (source.stored_choice) {
    for (GraphWeight& weight : graph.weights) {
      weight.stored = source.stored_choice(weight.source);
    }
  }
  if (source.attention) {
    for (uint32_t layer = 0; layer < graph.kv.size(); ++layer) {
      graph.kv[layer].stored = source.attention(layer);
    }
  }
}

}  // namespace tessera
