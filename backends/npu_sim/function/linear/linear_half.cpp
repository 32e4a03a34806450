// SPDX-License-Identifier: Apache-2.0
//
// Float linear.  Compiled without FMA contraction.

#include <algorithm>

#include "backends/npu_sim/function/activation.hpp"
#include "backends/npu_sim/function/float8.hpp"
#include "backends/npu_sim/function/inner_loops.hpp"
#include "backends/npu_sim/function/linear/epilogue.hpp"
#include "backends/npu_sim/function/linear/linear.hpp"
#include "backends/npu_sim/function/linear/linear_input.hpp"
#include "tessera/error.hpp"

namespace tessera::npu {
namespace {

bool is_f8(const HalfWeight& weight) { return !weight.scales.empty(); }

// A row as values of its codes; returns its scale.
float round_to_f8(float* row, int64_t K) {
  std::vector<uint8_t> codes(static_cast<size_t>(K));
  const float scale = quantize_f8(row, K, codes.data());
  std::transform(codes.begin(), codes.end(), row, f32_from_f8);
  return scale;
}

// Inputs rounded to the type that the cube takes.
void round_inputs(const HalfWeight& weight, const Linear& op,
                  LinearScratch& scratch, const Parallel& parallel) {
  scratch.rows.resize(static_cast<size_t>(op.M * weight.K));
  scratch.scales.resize(static_cast<size_t>(op.M));
  const uint32_t count = num_tasks(op.M);
  parallel.run(count, [&](uint32_t task) {
    std::vector<float> buffer;
    const UnitRange range = units_of(op.M, task, count);
    for (int64_t m = range.begin; m < range.end; ++m) {
      float* row = scratch.rows.data() + m * weight.K;
      read_input(weight.rules, op.x, m, weight.K, buffer, row);
      if (is_f8(weight)) {
        scratch.scales[static_cast<size_t>(m)] = round_to_f8(row, weight.K);
        continue;
      }
      for (int64_t k = 0; k < weight.K; ++k) {
        row[k] = rounded_to_half(weight.type, row[k]);
      }
    }
  });
}

// All rows of the columns of one tile.
void run_tile(const HalfWeight& weight, const Linear& op,
              const LinearScratch& scratch, int64_t tile) {
  const InnerLoops& loops = inner_loops();
  const auto multiply =
      weight.type == Half::kF16 ? loops.f16_tile : loops.bf16_tile;
  const uint16_t* w = weight.tiles.data() + tile * kTileColumns * weight.K;
  const int64_t share = op.k_share > 0 ? op.k_share : weight.K;
  const int64_t first = std::max(tile * kTileColumns, op.n_begin);
  const int64_t last = std::min((tile + 1) * kTileColumns, op.n_end);
  for (int64_t m = 0; m < op.M; m += kMaxRows) {
    const int64_t rows = std::min(kMaxRows, op.M - m);
    float acc[kMaxRows * kTileColumns] = {};
    for (int64_t k = 0; k < weight.K; k += share) {
      const int64_t count = std::min(share, weight.K - k);
      float part[kMaxRows * kTileColumns] = {};
      multiply(scratch.rows.data() + m * weight.K + k, weight.K, rows,
               w + k * kTileColumns, count, part);
      for (int64_t i = 0; i < rows * kTileColumns; ++i) {
        acc[i] = k == 0 ? part[i] : acc[i] + part[i];
      }
    }
    for (int64_t r = 0; r < rows; ++r) {
      float* sums = acc + r * kTileColumns + first % kTileColumns;
      for (int64_t n = first; is_f8(weight) && n < last; ++n) {
        const float scale = scratch.scales[static_cast<size_t>(m + r)] *
                            weight.scales[static_cast<size_t>(n)];
        sums[n - first] = sums[n - first] * scale;
      }
      finish_columns(op, m + r, first, last - first, sums);
    }
  }
}

}  // namespace

void linear(const HalfWeight& weight, const Linear& op, LinearScratch& scratch,
            const Parallel& parallel) {
  check_linear(op, weight.N);
  if (is_f8(weight) != (op.act_quant == TSR_ACT_F8_DYNAMIC)) {
    throw sdk::Error(TSR_INVALID_ARGUMENT,
                     "linear: f8 is multiplied by f8 alone");
  }
  if (op.y.dtype == TSR_I32) {
    throw sdk::Error(TSR_INVALID_ARGUMENT,
                     "linear: i32 accumulators of float activations");
  }
  if (op.M == 0) return;
  round_inputs(weight, op, scratch, parallel);
  const int64_t first = op.n_begin / kTileColumns;
  const int64_t tiles = (op.n_end + kTileColumns - 1) / kTileColumns - first;
  const uint32_t count = num_tasks(tiles);
  parallel.run(count, [&](uint32_t task) {
    const UnitRange range = units_of(tiles, task, count);
    for (int64_t t = range.begin; t < range.end; ++t) {
      run_tile(weight, op, scratch, first + t);
    }
  });
}

}  // namespace tessera::npu
