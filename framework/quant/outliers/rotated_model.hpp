// SPDX-License-Identifier: Apache-2.0
//
// A model whose residual stream and value heads are turned by random Hadamard
// matrices: the same function of its tokens, with outliers spread over all
// channels.

#pragma once

#include <cstdint>

#include "framework/base/status.hpp"
#include "framework/graph/weight_source.hpp"
#include "framework/model/config.hpp"
#include "framework/quant/algebra/parallel.hpp"

namespace tessera::quant {

struct RotatedModel {
  ModelConfig config;  // with a head of its own: the final norm moves into it
  WeightSource source;
};

// Reads and turns tensors when they are asked for; a layer at a time is kept.
// One thread at a time.
//
// Requires  `base` and what `run` uses outlive the result
// Errors    INVALID_ARGUMENT if hidden_size or head_dim cannot be rotated
// Source    Ashkboos et al., arXiv:2404.00456, section 4: stages 1a and the
//           part of 1c that is folded into weights
Result<RotatedModel> rotate_model(const ModelConfig& config,
                                  const WeightSource& base, uint32_t seed,
                                  const ParallelFor& run);

}  // namespace tessera::quant
