// SPDX-License-Identifier: Apache-2.0
//
// Sizes and places, all in floats and all multiples of 64 bytes.

#include "backends/cpu/kernels/linear/linear_workspace.hpp"

#include <algorithm>
#include <string>

#include "tessera/error.hpp"

namespace tessera::cpu {
namespace {

constexpr int64_t kAlignFloats = 16;
// Kernels and epilogues read whole vectors, up to 15 past the last sum.
constexpr int64_t kSlack = 16;

constexpr int64_t round_up(int64_t floats) {
  return (floats + kAlignFloats - 1) / kAlignFloats * kAlignFloats;
}

struct Sizes {
  int64_t values;   // rows of x, as f32
  int64_t per_row;  // one number a row
  int64_t groups;   // sums of groups of x
  int64_t rows;
  int64_t sums;
  int64_t codes;
  int64_t worker;
  int64_t total;
};

Sizes sizes_of(const LinearLimits& limits) {
  Sizes s{};
  const int64_t padded = padded_input(limits.K);
  const int64_t rows = round_up_rows(limits.max_M);
  s.values = round_up(rows * padded);
  s.per_row = round_up(rows);
  s.groups = round_up(limits.max_M * group_sums_stride(limits.K));
  s.rows = 2 * padded;
  s.sums = std::min(limits.max_M, kChunkRows) * kChunkCols + kSlack;
  const int64_t own = 2 * s.sums + kPanelFloats;
  const int64_t dense =
      rows < kMinDenseRows ? 0 : std::min(rows, kDenseRows) * kDenseCols;
  s.codes = kChunkCols * padded / static_cast<int64_t>(sizeof(float));
  s.worker =
      s.rows + std::max(own, dense + kSlack) + kChunkCols + kSlack + s.codes;
  s.total = s.values + 2 * s.per_row + s.groups +
            std::max<int64_t>(1, limits.num_threads) * s.worker;
  return s;
}

}  // namespace

WorkerScratch Workspace::worker(int64_t index) const {
  const Sizes s = sizes_of(limits);
  WorkerScratch scratch{};
  scratch.rows = workers + index * worker_floats;
  scratch.col_scale = scratch.rows + s.rows;
  scratch.sums = scratch.col_scale + kChunkCols + kSlack;
  scratch.groups = scratch.sums + s.sums;
  scratch.panel = scratch.groups + s.sums;
  scratch.dense_sums = scratch.sums;
  scratch.codes = reinterpret_cast<uint8_t*>(
      workers + (index + 1) * worker_floats - s.codes);
  return scratch;
}

size_t linear_workspace_bytes(const LinearLimits& limits) {
  return static_cast<size_t>(sizes_of(limits).total) * sizeof(float);
}

Workspace carve_workspace(LinearWorkspace workspace,
                          const LinearLimits& limits) {
  const size_t needed = linear_workspace_bytes(limits);
  if (workspace.bytes < needed ||
      reinterpret_cast<uintptr_t>(workspace.data) % 64 != 0) {
    throw sdk::Error(TSR_INVALID_ARGUMENT,
                     "linear: workspace of " + std::to_string(workspace.bytes) +
                         " bytes; needs " + std::to_string(needed) +
                         ", aligned to 64");
  }
  const Sizes s = sizes_of(limits);
  auto* floats = static_cast<float*>(workspace.data);
  Workspace parts;
  parts.input.values = floats;
  parts.input.codes = static_cast<uint8_t*>(workspace.data);
  parts.input.scales = floats + s.values;
  parts.input.zeros = reinterpret_cast<int32_t*>(floats + s.values + s.per_row);
  parts.input.pairs = static_cast<uint16_t*>(workspace.data);
  parts.input.group_sums = floats + s.values + 2 * s.per_row;
  parts.workers = parts.input.group_sums + s.groups;
  parts.worker_floats = s.worker;
  parts.limits = limits;
  return parts;
}

}  // namespace tessera::cpu
