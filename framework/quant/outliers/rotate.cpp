// SPDX-License-Identifier: Apache-2.0
//
// Rotations of rows and columns of a block's weights.

#include "framework/quant/outliers/rotate.hpp"

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace tessera::quant {
namespace {

// Rows or columns of one task.
constexpr uint32_t kTaskRows = 64;

Status check_size(const Rotation& rotation, std::string_view name,
                  uint32_t expected) {
  if (rotation.size() == expected) return {};
  return Status(TSR_INVALID_ARGUMENT, "a rotation of size " +
                                          std::to_string(rotation.size()) +
                                          " for " + std::string(name) + "=" +
                                          std::to_string(expected));
}

}  // namespace

void fuse_norm(std::span<float> norm, std::span<FloatLinear* const> linears) {
  for (FloatLinear* linear : linears) {
    for (size_t i = 0; i < linear->weight.size(); ++i) {
      linear->weight[i] *= norm[i % linear->K];
    }
  }
  std::fill(norm.begin(), norm.end(), 1.0f);
}

void rotate_inputs(const Rotation& rotation, std::span<float> weight,
                   const ParallelFor& run) {
  const size_t piece = size_t{kTaskRows} * rotation.size();
  run(num_pieces(weight.size(), piece), [&](uint32_t task) {
    const size_t begin = task * piece;
    const auto rows =
        weight.subspan(begin, std::min(piece, weight.size() - begin));
    std::vector<double> turned(rows.begin(), rows.end());
    rotation.apply(turned);
    for (size_t i = 0; i < rows.size(); ++i) {
      rows[i] = static_cast<float>(turned[i]);
    }
  });
}

void rotate_outputs(const Rotation& rotation, FloatLinear* linear,
                    const ParallelFor& run) {
  const uint32_t K = linear->K;
  run(num_pieces(K, kTaskRows), [&](uint32_t task) {
    const uint32_t first = task * kTaskRows;
    const uint32_t count = std::min(kTaskRows, K - first);
    std::vector<double> columns(size_t{count} * linear->N);
    for (uint32_t n = 0; n < linear->N; ++n) {
      for (uint32_t k = 0; k < count; ++k) {
        columns[size_t{k} * linear->N + n] =
            linear->weight[size_t{n} * K + first + k];
      }
    }
    rotation.apply(columns);
    for (uint32_t n = 0; n < linear->N; ++n) {
      for (uint32_t k = 0; k < count; ++k) {
        linear->weight[size_t{n} * K + first + k] =
            static_cast<float>(columns[size_t{k} * linear->N + n]);
      }
    }
  });
  std::vector<double> bias(linear->bias.begin(), linear->bias.end());
  rotation.apply(bias);
  std::transform(bias.begin(), bias.end(), linear->bias.begin(),
                 [](double value) { return static_cast<float>(value); });
}

Status rotate_residual(const Rotation& rotation, DecoderBlock* block,
                       const ParallelFor& run) {
  TSR_RETURN_IF_ERROR(check_size(rotation, "hidden_size", block->hidden_size));
  for (const Subgraph subgraph :
       {Subgraph::kNormAttention, Subgraph::kNormMlp}) {
    fuse_norm(subgraph == Subgraph::kNormAttention ? block->attention_norm
                                                   : block->mlp_norm,
              consumers(subgraph, block));
    for (FloatLinear* linear : consumers(subgraph, block)) {
      rotate_inputs(rotation, linear->weight, run);
    }
  }
  rotate_outputs(rotation, &block->o, run);
  rotate_outputs(rotation, &block->down, run);
  return {};
}

Status rotate_values(const Rotation& rotation, DecoderBlock* block,
                     const ParallelFor& run) {
  TSR_RETURN_IF_ERROR(check_size(rotation, "head_dim", block->head_dim));
  rotate_outputs(rotation, &block->v, run);
  // Rows of o are runs of head_dim inputs.
  rotate_inputs(rotation, block->o.weight, run);
  return {};
}

}  // namespace tessera::quant
