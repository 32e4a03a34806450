// SPDX-License-Identifier: Apache-2.0
//
// A checkpoint as the graph's weights see it.

#pragma once

#include <memory>

#include "framework/graph/weight_source.hpp"
#include "framework/model/checkpoint.hpp"

namespace tessera {

// Finds tensors by their names and aliases.
// Requires  `checkpoint` outlives the result and stays where it is.
WeightSource checkpoint_source(const Checkpoint& checkpoint);

// The same; the result and its copies keep the checkpoint.
WeightSource checkpoint_source(std::shared_ptr<const Checkpoint> checkpoint);

}  // namespace tessera
