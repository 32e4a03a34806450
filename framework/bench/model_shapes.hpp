// SPDX-License-Identifier: Apache-2.0
//
// Sizes of models that people run, for ops of the shapes that matter.

#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "framework/base/status.hpp"

namespace tessera::bench {

// Source  the config.json of each model
struct ModelShape {
  std::string_view name;  // "qwen3-0.6b"
  int64_t hidden_size;
  int64_t intermediate_size;
  int64_t num_layers;
  int64_t num_q_heads;
  int64_t num_kv_heads;
  int64_t head_dim;
  int64_t vocab_size;
};

const std::vector<ModelShape>& model_shapes();

// Errors  INVALID_ARGUMENT, naming those there are
Result<ModelShape> find_model_shape(std::string_view name);

// N and K of a linear of a decoder block.
struct LinearShape {
  std::string_view name;  // "gate_proj"
  int64_t N;
  int64_t K;
};

// Each shape once: q, k, o, gate and down projection; v and up are as k and
// gate.
std::vector<LinearShape> linear_shapes(const ModelShape& model);

}  // namespace tessera::bench
