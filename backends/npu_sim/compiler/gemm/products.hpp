// SPDX-License-Identifier: Apache-2.0
//
// What a cube core does for one tile.

#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "backends/npu_sim/compiler/emitter.hpp"
#include "backends/npu_sim/compiler/gemm/epilogue.hpp"
#include "backends/npu_sim/compiler/gemm/tiles.hpp"

namespace tessera::npu {

// Called behind each sum of a tile.
using AfterSum = std::function<void(const TileSum& sum)>;

// Tile `index` of a core's `tiles`, and the first packet of the one after it if
// both are of a slice.
void emit_tile(const GemmContext& context, const std::vector<TileWork>& tiles,
               int64_t index, const AfterSum& after_sum, Emitter& out);

}  // namespace tessera::npu
