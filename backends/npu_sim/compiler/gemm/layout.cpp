// SPDX-License-Identifier: Apache-2.0
//
// Offsets and rectangles; nothing here decides.

#include "backends/npu_sim/compiler/gemm/layout.hpp"

#include <algorithm>

#include "backends/npu_sim/machine/costs.hpp"

namespace tessera::npu {
namespace {

constexpr int64_t kFractalRows = 16;
constexpr int64_t kFractalBytes = 512;
constexpr int64_t kEpilogueChunks = 8;  // of a tile, at most
constexpr int64_t kMostChunkElements = 8192;

// Of an operand in L1.
int64_t packet_bytes(int64_t rows, int64_t k, Type type, bool transposed) {
  if (!transposed) return fractal_bytes(rows, k, type);
  return ceil_div(rows, fractal_k(type)) * round_up(k, kFractalRows) *
         kBeatBytes;
}

}  // namespace

bool is_input_transposed(const GemmPlan& plan) { return plan.gemm.transpose_a; }

bool is_weight_transposed(const GemmPlan& plan) {
  if (plan.kind.unzips) return false;
  return plan.gemm.layout == WeightLayout::kNz || !plan.gemm.weight_is_nk;
}

bool is_weight_rearranged(const GemmPlan& plan) {
  return !plan.kind.unzips && plan.gemm.layout == WeightLayout::kNd;
}

int64_t weight_elements(const GemmPlan& plan) {
  const bool is_nz = plan.gemm.layout == WeightLayout::kNz && !plan.kind.unzips;
  return plan.gemm.K * (is_nz ? round_up(plan.gemm.N, fractal_k(plan.kind.cube))
                              : plan.gemm.N);
}

int64_t split_share(int64_t K, const GemmTiling& tiling) {
  return round_up(ceil_div(K, tiling.split_k), tiling.packet_k);
}

int64_t num_splits(const GemmPlan& plan) {
  return ceil_div(plan.gemm.K, split_share(plan.gemm.K, plan.tiling));
}

int64_t fractal_bytes(int64_t rows, int64_t k, Type type) {
  return ceil_div(rows, kFractalRows) * ceil_div(k, fractal_k(type)) *
         kFractalBytes;
}

namespace {

// A tile leaves by rows through GM, or by columns on the core's own vector
// pipe.
void lay_out_epilogue(const Profile& profile, const GemmPlan& plan,
                      GemmLayout& layout) {
  const GemmTiling& tiling = plan.tiling;
  const int64_t rows = round_up(tiling.tile_m, kFractalRows);
  const int64_t bytes =
      4 + bits_of(plan.gemm.out) / 8 * plan.kind.vector_inputs;
  layout.epilogue_rows = std::max(
      kFractalRows,
      round_up(ceil_div(tiling.tile_m, kEpilogueChunks), kFractalRows));
  if (plan.kind.per_token) {
    layout.row_scale_bytes = round_up(4 * tiling.tile_m, kBeatBytes);
  }
  const int64_t elements =
      std::min(kMostChunkElements, profile.local.ub_bytes / 2 / bytes);
  layout.epilogue_columns =
      std::max(kFractalRows, elements / rows / kFractalRows * kFractalRows);

  int64_t sums = 4 * rows * round_up(tiling.tile_n, kFractalRows);
  if (profile.exit.fixpipe) {
    if (!plan.kind.vector_epilogue || tiling.split_k > 1) return;
    const int64_t chunk_rows = layout.epilogue_rows;
    const int64_t lanes = profile.unified_cores ? 1 : 2;
    layout.chunk_bytes = chunk_rows * tiling.tile_n * bytes +
                         (plan.kind.per_token ? 4 * chunk_rows : 0);
    layout.sums_at = 2 * layout.chunk_bytes;
    sums = ceil_div(ceil_div(tiling.tile_m, chunk_rows), lanes) * chunk_rows *
           tiling.tile_n * 4;
  } else {
    layout.chunk_bytes = rows * layout.epilogue_columns * bytes;
    layout.sums_at = 2 * (layout.chunk_bytes + layout.row_scale_bytes);
  }
  layout.ub_bytes = layout.sums_at + (plan.kind.sum_k > 0 ? sums : 0);
}

}  // namespace

GemmLayout layout_of(const Profile& profile, const GemmPlan& plan) {
  const GemmTiling& tiling = plan.tiling;
  const Type type = plan.kind.cube;
  GemmLayout layout;
  layout.buffers = plan.double_buffer ? 2 : 1;
  layout.accumulators = tiling.double_accumulator ? 2 : 1;
  layout.a_packet_bytes = packet_bytes(tiling.tile_m, tiling.packet_k, type,
                                       is_input_transposed(plan));
  layout.b_packet_bytes = packet_bytes(tiling.tile_n, tiling.packet_k, type,
                                       is_weight_transposed(plan));
  layout.a_step_bytes = fractal_bytes(tiling.tile_m, tiling.tile_k, type);
  layout.b_step_bytes = fractal_bytes(tiling.tile_n, tiling.tile_k, type);
  layout.accumulator_bytes = 4 * round_up(tiling.tile_m, kFractalRows) *
                             round_up(tiling.tile_n, kFractalRows);
  lay_out_epilogue(profile, plan, layout);
  return layout;
}

Rectangle input_rectangle(const GemmPlan& plan, const TileWork& work,
                          int64_t k_begin, int64_t k) {
  const Gemm& gemm = plan.gemm;
  const Type type = plan.kind.cube;
  const Tensor tensor =
      plan.kind.quantizes_input ? Tensor::kCodes : Tensor::kInput;
  if (gemm.transpose_a) {
    const int64_t stride = bytes_of_elements(type, gemm.M);
    return {gm_address(tensor,
                       k_begin * stride + bytes_of_elements(type, work.row)),
            k, bytes_of_elements(type, work.m), stride};
  }
  const int64_t stride = bytes_of_elements(type, gemm.K);
  return {
      gm_address(tensor, work.row * stride + bytes_of_elements(type, k_begin)),
      work.m, bytes_of_elements(type, k), stride};
}

Rectangle weight_rectangle(const GemmPlan& plan, const TileWork& work,
                           int64_t k_begin, int64_t k) {
  const Gemm& gemm = plan.gemm;
  const Type type = plan.kind.cube;
  const Tensor tensor =
      plan.kind.widens_weight ? Tensor::kWideWeight : Tensor::kWeight;
  // Of wide weights, the slice alone is there.
  const int64_t before =
      plan.kind.widens_weight ? bytes_of_elements(type, work.slice_element) : 0;
  const int64_t first =
      work.weight_index * bytes_of_elements(type, weight_elements(plan)) -
      before;
  if (gemm.layout == WeightLayout::kNz && !plan.kind.unzips) {
    // Blocks of 32 bytes of n, each with all of K: one run per block.
    const int64_t blocks =
        ceil_div(bytes_of_elements(type, work.n), kBeatBytes);
    const int64_t stride = gemm.K * kBeatBytes;
    const int64_t block = bytes_of_elements(type, work.column) / kBeatBytes;
    return {gm_address(tensor, first + block * stride + k_begin * kBeatBytes),
            blocks, k * kBeatBytes, stride};
  }
  if (gemm.weight_is_nk) {
    const int64_t stride = bytes_of_elements(type, gemm.K);
    return {gm_address(tensor, first + work.column * stride +
                                   bytes_of_elements(type, k_begin)),
            work.n, bytes_of_elements(type, k), stride};
  }
  const int64_t stride = bytes_of_elements(type, gemm.N);
  return {gm_address(tensor, first + k_begin * stride +
                                 bytes_of_elements(type, work.column)),
          k, bytes_of_elements(type, work.n), stride};
}

Rectangle result_rectangle(const GemmPlan& plan, const TileWork& work) {
  const Type type = plan.gemm.out;
  const int64_t stride = bytes_of_elements(type, plan.gemm.N);
  return {gm_address(Tensor::kOutput,
                     work.row * stride + bytes_of_elements(type, work.column)),
          work.m, bytes_of_elements(type, work.n), stride};
}

Rectangle output_rectangle(const GemmPlan& plan, const TileWork& work,
                           int64_t row, int64_t m, Type type) {
  const int64_t stride = bytes_of_elements(type, plan.gemm.N);
  const bool is_split = plan.tiling.split_k > 1;
  const int64_t first = is_split ? work.split * plan.gemm.M * stride : 0;
  // Sums of a slice take the place of those of the one before.
  const int64_t column = work.column - (is_split ? work.slice_column : 0);
  return {gm_address(is_split ? Tensor::kPartials : Tensor::kOutput,
                     first + (work.row + row) * stride +
                         bytes_of_elements(type, column)),
          m, bytes_of_elements(type, work.n), stride};
}

}  // namespace tessera::npu
