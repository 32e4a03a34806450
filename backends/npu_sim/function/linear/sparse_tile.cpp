// SPDX-License-Identifier: Apache-2.0

#include "backends/npu_sim/function/linear/sparse_tile.hpp"

#include "tessera/error.hpp"

namespace tessera::npu {
namespace {

constexpr size_t kBookBytes = 16;
constexpr uint32_t kEscape = 15;

[[noreturn]] void damaged() {
  throw sdk::Error(TSR_DATA_LOSS,
                   "weight: a sparse tile ends before its codes");
}

}  // namespace

void decode_sparse_tile(std::span<const uint8_t> bytes, const SparseTile& tile,
                        int16_t* out_codes, int64_t stride) {
  const auto row_bytes = static_cast<size_t>((tile.columns + 1) / 2);
  const size_t escapes_at =
      kBookBytes + static_cast<size_t>(tile.rows) * row_bytes;
  if (bytes.size() < escapes_at) damaged();
  size_t escape = escapes_at;
  for (int64_t r = 0; r < tile.rows; ++r) {
    const uint8_t* nibbles =
        &bytes[kBookBytes + static_cast<size_t>(r) * row_bytes];
    for (int64_t c = 0; c < tile.columns; ++c) {
      const uint32_t code =
          c % 2 == 0 ? nibbles[c / 2] & 0xFU : nibbles[c / 2] >> 4U;
      if (code == kEscape && escape == bytes.size()) damaged();
      const uint8_t byte = code == kEscape ? bytes[escape++] : bytes[code];
      out_codes[r * stride + c] = int16_t{static_cast<int8_t>(byte)};
    }
  }
}

}  // namespace tessera::npu
