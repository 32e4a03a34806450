// SPDX-License-Identifier: Apache-2.0
//
// Rotary position tables.  The host computes them once, in double, so that
// every device rotates by the same numbers.

#pragma once

#include <cstdint>
#include <vector>

#include "framework/model/config.hpp"

namespace tessera {

struct RopeFrequencies {
  std::vector<double> inverse;    // [head_dim / 2], radians per position
  double attention_factor = 1.0;  // multiplies cos and sin
};

// Pair i of a head turns by position * inverse[i].  `seq_len` matters to
// kDynamic alone: beyond config.max_positions it stretches the base.
//
// Source  transformers, modeling_rope_utils.py, ROPE_INIT_FUNCTIONS; yarn:
//         Peng et al., arXiv:2309.00071; computed here in double, there in f32
RopeFrequencies rope_frequencies(const ModelConfig& config, uint32_t seq_len);

struct RopeTable {
  uint32_t num_positions = 0;
  uint32_t head_dim = 0;
  // [num_positions, head_dim]; a row is cos[head_dim / 2], sin[head_dim / 2]
  // of the angles at that position, times the attention factor.
  std::vector<float> values;
};

// The table for sequences of up to `num_positions` tokens, rounded to f32 once.
RopeTable build_rope_table(const ModelConfig& config, uint32_t num_positions);

}  // namespace tessera
