// SPDX-License-Identifier: Apache-2.0
//
// Where a planned product keeps its pieces: in L1, L0, UB and GM.

#pragma once

#include <cstdint>

#include "backends/npu_sim/compiler/emitter.hpp"
#include "backends/npu_sim/compiler/gemm/plan.hpp"
#include "backends/npu_sim/compiler/gemm/tiles.hpp"

namespace tessera::npu {

struct GemmLayout {
  int64_t buffers = 2;         // of L1 and L0
  int64_t accumulators = 1;    // tiles in L0C
  int64_t a_packet_bytes = 0;  // in L1
  int64_t b_packet_bytes = 0;
  int64_t a_step_bytes = 0;  // in L0A
  int64_t b_step_bytes = 0;
  int64_t accumulator_bytes = 0;
  int64_t epilogue_rows = 0;     // of a chunk on separate vector cores
  int64_t epilogue_columns = 0;  // of a chunk on the core itself
  int64_t row_scale_bytes = 0;   // of a tile, where rows have scales
  // Of UB: a chunk of a tile with what else it needs, of which there are two;
  // where sums over groups begin; and all of it.
  int64_t chunk_bytes = 0;
  int64_t sums_at = 0;
  int64_t ub_bytes = 0;

  int64_t l1_bytes() const {
    return buffers * (a_packet_bytes + b_packet_bytes);
  }
};

GemmLayout layout_of(const Profile& profile, const GemmPlan& plan);

// Bytes of one tile's operand in fractals: rows to 16, K to 32 bytes.
int64_t fractal_bytes(int64_t rows, int64_t k, Type type);

// Whether an operand lies in L1 as blocks of 32 bytes of its rows, each with
// all of K, so that the way to L0 swaps the axes.
bool is_input_transposed(const GemmPlan& plan);
bool is_weight_transposed(const GemmPlan& plan);
// Whether rows of a weight become blocks on the way to L1.
bool is_weight_rearranged(const GemmPlan& plan);

// Elements of one stored weight: blocks of columns are whole in NZ.
int64_t weight_elements(const GemmPlan& plan);

// K of each part of a split sum, and how many parts that makes.
int64_t split_share(int64_t K, const GemmTiling& tiling);
int64_t num_splits(const GemmPlan& plan);

// What to read for `k` columns from `k_begin`.
Rectangle input_rectangle(const GemmPlan& plan, const TileWork& work,
                          int64_t k_begin, int64_t k);
Rectangle weight_rectangle(const GemmPlan& plan, const TileWork& work,
                           int64_t k_begin, int64_t k);
// Where the result of the launch goes.
Rectangle result_rectangle(const GemmPlan& plan, const TileWork& work);
// Rows [row, row + m) of the tile, where the product goes: the result, or a
// part of a split sum.
Rectangle output_rectangle(const GemmPlan& plan, const TileWork& work,
                           int64_t row, int64_t m, Type type);

}  // namespace tessera::npu
