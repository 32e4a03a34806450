// SPDX-License-Identifier: Apache-2.0
//
// How a finished tile of accumulators leaves the core.

#pragma once

#include "backends/npu_sim/compiler/gemm/layout.hpp"
#include "backends/npu_sim/compiler/gemm/plan.hpp"

namespace tessera::npu {

struct GemmContext {
  const Profile& profile;
  const GemmPlan& plan;
  GemmLayout layout;

  // The pipe that empties L0C.
  Pipe exit_pipe() const {
    return profile.exit.fixpipe ? Pipe::kFixpipe : Pipe::kVector;
  }
  bool has_tile_epilogue() const {
    return plan.kind.vector_epilogue && plan.tiling.split_k == 1;
  }
  // Tiles pass through GM to vector work on the way.
  bool hands_over() const {
    return profile.exit.fixpipe && has_tile_epilogue();
  }
  // Whether the core's own vector pipe needs the scales of a tile's rows.
  bool drains_row_scales() const {
    return !profile.exit.fixpipe && has_tile_epilogue() && plan.kind.per_token;
  }
  // Whether it reads further tensors for a tile.
  bool drains_inputs() const {
    return !profile.exit.fixpipe && has_tile_epilogue() &&
           plan.kind.vector_inputs > 0;
  }
  int64_t num_siblings() const { return profile.unified_cores ? 1 : 2; }
};

// One of the sums of a core's tile, which leaves L0C by itself: of all of K, or
// of a group of the weight.
struct TileSum {
  TileSum(const GemmContext& context, const TileWork& work, int64_t tile_index,
          int64_t group_index)
      : tile(tile_index),
        group(group_index),
        index(work.sums_before + group),
        is_group(context.plan.kind.sum_k > 0),
        is_last(group + 1 == context.plan.kind.num_sums(work.k)) {}

  int64_t tile;   // of the core
  int64_t group;  // of the tile
  int64_t index;  // of the core's sums
  bool is_group;  // added to those before it in UB
  bool is_last;   // of its tile: the result follows
};

// Vector instructions over the sums of a group: to f32, and onto the others.
inline constexpr int64_t kGroupPasses = 2;

// Of UB slots for the scales of a tile's rows: two from here, both ways.
inline constexpr int64_t kScaleFlag = 4;

// What the vector pipe makes of a tile of sums in UB, in place.
struct FinishPlace {
  int64_t at = 0;
  int64_t rows = 0;
  int64_t n = 0;
  int64_t column = 0;  // of the output, the first
  int64_t inputs = 0;  // where further tensors lie
  int64_t scales = 0;  // and the scales of rows
  int64_t sums = 0;    // and the sums over groups, where there are several
};

Type sum_type(const GemmPlan& plan);
void emit_finish(const GemmContext& context, const FinishPlace& place,
                 Emitter& out);
// The rectangle of the output in what the epilogue reads besides.
void emit_other_inputs(const GemmContext& context, const Rectangle& like,
                       int64_t at, Emitter& out);
// Scales of rows [row, row + m) of a tile.
void emit_row_scales(const TileWork& work, int64_t row, int64_t m, int64_t at,
                     Emitter& out);
// The same before a tile's products, for a core that drains it itself.
void emit_scales_ahead(const GemmContext& context, const TileWork& work,
                       int64_t index, Emitter& out);

// A sum of a tile that is complete on the cube pipe.  `before_previous` is the
// tile of the core's sum before the last; null if there is none.
void emit_exit(const GemmContext& context, const TileWork& work,
               const TileWork* before_previous, const TileSum& sum,
               Emitter& out);

// The vector core's part of a sum that the cube core hands over.  `chunks` is
// the number that this vector core has done; returns it counted on.
int64_t emit_handed_over(const GemmContext& context, const TileWork& work,
                         const TileSum& sum, int64_t sibling, int64_t chunks,
                         Emitter& out);

// How many chunks of one sum of a tile the vector core takes.
int64_t chunks_of(const GemmContext& context, const TileWork& work,
                  int64_t sibling);

}  // namespace tessera::npu
