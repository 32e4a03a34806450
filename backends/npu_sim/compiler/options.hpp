// SPDX-License-Identifier: Apache-2.0
//
// What a caller may force, and what was chosen.

#pragma once

#include <cstdint>

namespace tessera::npu {

// How a product is cut.  Zeros are chosen by the compiler.
struct GemmTiling {
  int64_t tile_m = 0;  // of one accumulator tile
  int64_t tile_n = 0;
  int64_t tile_k = 0;    // of one MMAD
  int64_t packet_k = 0;  // along K brought to L1 at once
  int64_t split_k = 0;   // cores that share one tile's K
  int64_t swizzle = 0;   // rows of tiles visited before moving right
  int64_t wide_n = 0;    // columns of weights, all parts', widened at a time
  bool double_accumulator = false;  // two tiles in L0C

  bool operator==(const GemmTiling& other) const = default;
};

struct SimulateOptions {
  bool trace = false;
  GemmTiling tiling;          // what to force
  bool double_buffer = true;  // false: one buffer of each kind
  bool swizzle = true;        // false: row after row of tiles
};

}  // namespace tessera::npu
