// SPDX-License-Identifier: Apache-2.0

#include "backends/cpu/kernels/amx_probe.hpp"

#if defined(__x86_64__)

#include "backends/cpu/kernels/amx_tiles.hpp"

namespace tessera::cpu {

bool amx_multiplies() {
  uint8_t rows[kAmxRows][kAmxRowBytes];
  int8_t columns[kAmxRows][kAmxRowBytes];  // [k / 4][column][k % 4]
  for (int i = 0; i < kAmxRows; ++i) {
    for (int j = 0; j < kAmxRowBytes; ++j) {
      rows[i][j] = static_cast<uint8_t>(37 * i + 101 * j + 5);
      columns[i][j] = static_cast<int8_t>(53 * i - 29 * j - 77);
    }
  }
  int32_t sums[kAmxRows][kAmxRows];
  AmxTiles::configure({kAmxRows, kAmxRows});
  AmxTiles::load_rows<0>(rows, kAmxRowBytes);
  AmxTiles::load_columns<0>(columns);
  AmxTiles::add_u8s8<0, 0>();
  AmxTiles::store<0, 0>(sums, sizeof(sums[0]));
  AmxTiles::release();
  for (int m = 0; m < kAmxRows; ++m) {
    for (int n = 0; n < kAmxRows; ++n) {
      int32_t wanted = 0;
      for (int k = 0; k < kAmxRowBytes; ++k) {
        wanted += rows[m][k] * columns[k / 4][n * 4 + k % 4];
      }
      if (sums[m][n] != wanted) return false;
    }
  }
  return true;
}

}  // namespace tessera::cpu

#else

namespace tessera::cpu {
bool amx_multiplies() { return false; }
}  // namespace tessera::cpu

#endif
