// SPDX-License-Identifier: Apache-2.0
//
// Integer sums by tiles of AMX.  16 lines of a packed tile of 8-bit codes are a
// tile register as they lie in memory, and rows of x are read in place.

#pragma once

#include <stdint.h>

#include "backends/cpu/kernels/amx/amx_product.hpp"
#include "backends/cpu/kernels/linear/integer_tiles.hpp"

namespace tessera::cpu {

// `Tiles` has the members of AmxTiles.
template <typename Tiles>
void integer_i8_by_amx(const IntegerWork& work) {
  const WeightShape& shape = work.weight->shape;
  const int64_t begin = work.group * shape.group_size;
  const int64_t end =
      begin + shape.group_size < shape.K ? begin + shape.group_size : shape.K;
  const int64_t tiles = (work.num_cols + kTileCols - 1) / kTileCols;
  const int64_t first = work.n_begin / kTileCols;
  {
    AmxScope<Tiles> scope;
    AmxProduct<Tiles, AmxKind::kU8S8>::run(
        scope,
        {work.M, tiles,
         // Codes past K are 0.
         (end - begin + kAmxLineBytes - 1) / kAmxLineBytes * kAmxLineBytes,
         work.x + begin, work.x_stride,
         work.weight->codes + first * shape.tile_bytes + begin * kTileCols,
         kAmxRowBytes, shape.tile_bytes, work.sums,
         kChunkCols * int64_t{sizeof(int32_t)}, work.adds});
  }
  if (work.adds) return;
  for (int64_t t = 0; t < tiles; ++t) {
    uint32_t totals[kTileCols];
    sums_of_codes(work, first + t, totals);
    for (int64_t m = 0; m < work.M; ++m) {
      subtract_zeros(totals, work.x_zeros[m],
                     work.sums + m * kChunkCols + t * kTileCols);
    }
  }
}

}  // namespace tessera::cpu
