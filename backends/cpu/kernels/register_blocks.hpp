// SPDX-License-Identifier: Apache-2.0
//
// How products cut their outputs into blocks whose sums fit the registers.

#pragma once

#include <stdint.h>

namespace tessera::cpu {

template <int kRows, int kTiles, typename Body>
[[gnu::always_inline]] inline void last_register_blocks(int64_t rows,
                                                        int64_t row,
                                                        int64_t tile,
                                                        const Body& body) {
  if constexpr (kRows > 0) {
    if (rows - row == kRows) {
      body.template operator()<kRows, kTiles>(row, tile);
    } else {
      last_register_blocks<kRows - 1, kTiles>(rows, row, tile, body);
    }
  }
}

// Calls body.operator()<r, t>(row, tile) for blocks of r rows by t tiles of
// columns that cover rows x tiles: r is kRows and less only for the last rows,
// t is kTiles and 1 for the tiles left.  All rows of some tiles come before the
// next tiles.
template <int kRows, int kTiles, typename Body>
[[gnu::always_inline]] inline void for_register_blocks(int64_t rows,
                                                       int64_t tiles,
                                                       const Body& body) {
  const auto all_rows = [&]<int kWidth>(int64_t tile) {
    int64_t row = 0;
    for (; row + kRows <= rows; row += kRows) {
      body.template operator()<kRows, kWidth>(row, tile);
    }
    last_register_blocks<kRows - 1, kWidth>(rows, row, tile, body);
  };
  int64_t tile = 0;
  for (; tile + kTiles <= tiles; tile += kTiles) {
    all_rows.template operator()<kTiles>(tile);
  }
  for (; tile < tiles; ++tile) all_rows.template operator()<1>(tile);
}

}  // namespace tessera::cpu
