// SPDX-License-Identifier: Apache-2.0

#include "framework/bench/model_shapes.hpp"

#include <algorithm>

namespace tessera::bench {

const std::vector<ModelShape>& model_shapes() {
  // clang-format off
  static const std::vector<ModelShape> shapes = {
      // name          hidden  MLP    layers  heads  KV  dim  vocabulary
      {"qwen3-0.6b",   1024,   3072,  28,     16,    8,  128, 151936},
      {"qwen3-1.7b",   2048,   6144,  28,     16,    8,  128, 151936},
      {"qwen3-4b",     2560,   9728,  36,     32,    8,  128, 151936},
      {"qwen3-8b",     4096,   12288, 36,     32,    8,  128, 151936},
      {"qwen3-14b",    5120,   17408, 40,     40,    8,  128, 151936},
      {"qwen3-32b",    5120,   25600, 64,     64,    8,  128, 151936},
      {"llama3.1-8b",  4096,   14336, 32,     32,    8,  128, 128256},
      {"llama3.1-70b", 8192,   28672, 80,     64,    8,  128, 128256},
  };
  // clang-format on
  return shapes;
}

Result<ModelShape> find_model_shape(std::string_view name) {
  std::string known;
  for (const ModelShape& shape : model_shapes()) {
    if (shape.name == name) return shape;
    known += known.empty() ? "" : ", ";
    known += shape.name;
  }
  return Status(TSR_INVALID_ARGUMENT,
                "no preset '" + std::string(name) + "'; there are " + known);
}

std::vector<LinearShape> linear_shapes(const ModelShape& model) {
  const int64_t q = model.num_q_heads * model.head_dim;
  const int64_t kv = model.num_kv_heads * model.head_dim;
  std::vector<LinearShape> shapes = {
      {"q_proj", q, model.hidden_size},
      {"k_proj", kv, model.hidden_size},
      {"o_proj", model.hidden_size, q},
      {"gate_proj", model.intermediate_size, model.hidden_size},
      {"down_proj", model.hidden_size, model.intermediate_size}};
  std::vector<LinearShape> distinct;
  for (const LinearShape& shape : shapes) {
    const bool is_known = std::any_of(
        distinct.begin(), distinct.end(), [&](const LinearShape& other) {
          return other.N == shape.N && other.K == shape.K;
        });
    if (!is_known) distinct.push_back(shape);
  }
  return distinct;
}

}  // namespace tessera::bench
