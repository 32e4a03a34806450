// SPDX-License-Identifier: Apache-2.0
//
// A decoder block in f64, by the formula that decoder_block.hpp states: what
// foldings must leave as it is.

#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "framework/quant/block/decoder_block.hpp"
#include "tests/unit/framework/quant/random_values.hpp"

namespace tessera::quant {

using Rows = std::vector<std::vector<double>>;  // one per token

inline Rows apply_linear(const FloatLinear& linear, const Rows& x) {
  Rows y(x.size(), std::vector<double>(linear.N));
  for (size_t t = 0; t < x.size(); ++t) {
    for (size_t n = 0; n < linear.N; ++n) {
      double sum = linear.bias.empty() ? 0.0 : double{linear.bias[n]};
      for (size_t k = 0; k < linear.K; ++k) {
        sum += double{linear.weight[n * linear.K + k]} * x[t][k];
      }
      y[t][n] = sum;
    }
  }
  return y;
}

inline Rows rms_norm(const std::vector<float>& weight, const Rows& x) {
  Rows y = x;
  for (auto& row : y) {
    double sum = 0.0;
    for (const double value : row) sum += value * value;
    const double inverse =
        1.0 / std::sqrt(sum / static_cast<double>(row.size()) + 1e-6);
    for (size_t k = 0; k < row.size(); ++k) {
      row[k] *= inverse * double{weight[k]};
    }
  }
  return y;
}

// Causal attention of one block, without RoPE.
inline Rows attend(const DecoderBlock& block, const Rows& q, const Rows& k,
                   const Rows& v) {
  const size_t dim = block.head_dim;
  Rows out(q.size(), std::vector<double>(block.num_q_heads * dim, 0.0));
  for (size_t t = 0; t < q.size(); ++t) {
    for (size_t head = 0; head < block.num_q_heads; ++head) {
      const size_t kv = head / (block.num_q_heads / block.num_kv_heads);
      std::vector<double> weights(t + 1);
      double total = 0.0;
      for (size_t s = 0; s <= t; ++s) {
        double score = 0.0;
        for (size_t d = 0; d < dim; ++d) {
          score += q[t][head * dim + d] * k[s][kv * dim + d];
        }
        weights[s] = std::exp(score / std::sqrt(static_cast<double>(dim)));
        total += weights[s];
      }
      for (size_t s = 0; s <= t; ++s) {
        for (size_t d = 0; d < dim; ++d) {
          out[t][head * dim + d] += weights[s] / total * v[s][kv * dim + d];
        }
      }
    }
  }
  return out;
}

// What the linears of a block read, and its result.
struct BlockTrace {
  Rows attention_input;
  Rows output_input;
  Rows mlp_input;
  Rows down_input;
  Rows result;
};

inline BlockTrace run_block(const DecoderBlock& block, const Rows& x) {
  BlockTrace trace;
  trace.attention_input = rms_norm(block.attention_norm, x);
  trace.output_input =
      attend(block, apply_linear(block.q, trace.attention_input),
             apply_linear(block.k, trace.attention_input),
             apply_linear(block.v, trace.attention_input));
  Rows h = apply_linear(block.o, trace.output_input);
  for (size_t t = 0; t < h.size(); ++t) {
    for (size_t k = 0; k < h[t].size(); ++k) h[t][k] += x[t][k];
  }
  trace.mlp_input = rms_norm(block.mlp_norm, h);
  const Rows gate = apply_linear(block.gate, trace.mlp_input);
  trace.down_input = apply_linear(block.up, trace.mlp_input);
  for (size_t t = 0; t < gate.size(); ++t) {
    for (size_t k = 0; k < gate[t].size(); ++k) {
      trace.down_input[t][k] *= gate[t][k] / (1.0 + std::exp(-gate[t][k]));
    }
  }
  trace.result = apply_linear(block.down, trace.down_input);
  for (size_t t = 0; t < h.size(); ++t) {
    for (size_t k = 0; k < h[t].size(); ++k) trace.result[t][k] += h[t][k];
  }
  return trace;
}

inline FloatLinear random_linear(uint32_t N, uint32_t K, uint32_t seed,
                                 bool with_bias) {
  FloatLinear linear{N, K, normal_values(size_t{N} * K, seed), {}};
  for (float& value : linear.weight) {
    value /= std::sqrt(static_cast<float>(K));
  }
  if (with_bias) linear.bias = normal_values(N, seed + 100);
  return linear;
}

// Grouped heads (4 q heads on 2 KV heads), biases on q, k, v and up as Qwen2
// and others have them.
inline DecoderBlock random_block(uint32_t hidden, uint32_t head_dim,
                                 uint32_t ffn) {
  DecoderBlock block;
  block.hidden_size = hidden;
  block.num_q_heads = 4;
  block.num_kv_heads = 2;
  block.head_dim = head_dim;
  block.attention_norm = normal_values(hidden, 1);
  block.mlp_norm = normal_values(hidden, 2);
  block.q = random_linear(4 * head_dim, hidden, 3, true);
  block.k = random_linear(2 * head_dim, hidden, 4, true);
  block.v = random_linear(2 * head_dim, hidden, 5, true);
  block.o = random_linear(hidden, 4 * head_dim, 6, false);
  block.gate = random_linear(ffn, hidden, 7, false);
  block.up = random_linear(ffn, hidden, 8, true);
  block.down = random_linear(hidden, ffn, 9, true);
  return block;
}

inline Rows random_rows(size_t count, uint32_t size) {
  const std::vector<float> values = normal_values(count * size, 77);
  Rows rows(count);
  for (size_t t = 0; t < count; ++t) {
    rows[t].assign(values.begin() + static_cast<ptrdiff_t>(t * size),
                   values.begin() + static_cast<ptrdiff_t>((t + 1) * size));
  }
  return rows;
}

// Largest difference of two results over the largest magnitude of the first.
inline double relative_difference(const Rows& a, const Rows& b) {
  double difference = 0.0;
  double largest = 0.0;
  for (size_t t = 0; t < a.size(); ++t) {
    for (size_t k = 0; k < a[t].size(); ++k) {
      difference = std::fmax(difference, std::fabs(a[t][k] - b[t][k]));
      largest = std::fmax(largest, std::fabs(a[t][k]));
    }
  }
  return difference / largest;
}

// Each weight is rounded to f32 once or twice by a folding, 2^-24 relative; the
// block is a few products deep and amplifies by less than 30.
inline constexpr double kFoldTolerance = 2.0 * 30.0 * 0x1p-24;

// Largest magnitude per column.
inline std::vector<float> column_max(const Rows& rows) {
  std::vector<float> largest(rows[0].size(), 0.0f);
  for (const auto& row : rows) {
    for (size_t k = 0; k < row.size(); ++k) {
      largest[k] = std::fmax(largest[k], static_cast<float>(std::fabs(row[k])));
    }
  }
  return largest;
}

inline std::vector<float> flatten(const Rows& rows) {
  std::vector<float> values;
  for (const auto& row : rows) {
    for (const double value : row) values.push_back(static_cast<float>(value));
  }
  return values;
}

}  // namespace tessera::quant
