// SPDX-License-Identifier: Apache-2.0

#include "framework/graph/weight_source.hpp"

namespace tessera {

void mark_stored(const WeightSource& source, Graph& graph) {
  if (!source.stored_choice) return;
  for (GraphWeight& weight : graph.weights) {
    weight.stored = source.stored_choice(weight.source);
  }
}

}  // namespace tessera
