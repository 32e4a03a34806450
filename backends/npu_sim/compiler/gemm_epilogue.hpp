// SPDX-License-Identifier: Apache-2.0
//
// How a finished tile of accumulators leaves the core.

#pragma once

#include "backends/npu_sim/compiler/gemm_layout.hpp"
#include "backends/npu_sim/compiler/gemm_plan.hpp"

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
  int64_t num_siblings() const { return profile.unified_cores ? 1 : 2; }
};

// Tile `index` of the core; its sums are complete on the cube pipe.
void emit_exit(const GemmContext& context, const TileWork& work,
               const TileWork* before_previous, int64_t index, Emitter& out);

// The vector core's part of a tile that the cube core hands over.  `chunks` is
// the number that this vector core has done; returns it counted on.
int64_t emit_handed_over(const GemmContext& context, const TileWork& work,
                         int64_t index, int64_t sibling, int64_t chunks,
                         Emitter& out);

// How many chunks of a tile the vector core takes.
int64_t chunks_of(const GemmContext& context, const TileWork& work,
                  int64_t sibling);

}  // namespace tessera::npu
