// SPDX-License-Identifier: Apache-2.0

#include "backends/cpu/kernels/amx/amx_probe.hpp"

#if defined(__x86_64__)

#include "backends/cpu/kernels/amx/amx_product.hpp"

namespace tessera::cpu {
namespace {

// A and B of 33 rows and three tiles of columns, so that every register is
// loaded, and 72 bytes deep, so that there is a step of less than 64.
constexpr int kRows = 33;
constexpr int kTiles = 3;
constexpr int kColumns = kTiles * kAmxRows;
constexpr int kDepth = 72;

struct Operands {
  uint8_t rows[kRows][kDepth];
  uint8_t lines[kDepth / kAmxLineBytes][kColumns][kAmxLineBytes];
};

template <AmxKind kKind, typename C>
void multiply(const Operands& operands, C (&sums)[kRows][kColumns]) {
  AmxScope<AmxTiles> scope;
  AmxProduct<AmxTiles, kKind>::run(
      scope,
      {kRows, kTiles, kDepth, operands.rows, kDepth, operands.lines,
       sizeof(operands.lines[0]), kAmxRowBytes, sums, sizeof(sums[0]), false});
}

// Byte k of a row and of a column.
uint8_t row_byte(const Operands& from, int m, int k) { return from.rows[m][k]; }
uint8_t column_byte(const Operands& from, int n, int k) {
  return from.lines[k / kAmxLineBytes][n][k % kAmxLineBytes];
}

template <AmxKind kKind>
bool bytes_are_right(const Operands& operands) {
  int32_t sums[kRows][kColumns];
  multiply<kKind>(operands, sums);
  for (int m = 0; m < kRows; ++m) {
    for (int n = 0; n < kColumns; ++n) {
      int32_t wanted = 0;
      for (int k = 0; k < kDepth; ++k) {
        const uint8_t x = row_byte(operands, m, k);
        wanted += (kKind == AmxKind::kU8S8 ? x : static_cast<int8_t>(x)) *
                  static_cast<int8_t>(column_byte(operands, n, k));
      }
      if (sums[m][n] != wanted) return false;
    }
  }
  return true;
}

// Small whole numbers, whose sums are exact in any order: the upper half of
// their f32 is their bf16.
int whole(int seed) { return seed % 17 - 8; }
void put_bf16(int value, uint8_t* to) {
  const auto f32 = static_cast<float>(value);
  __builtin_memcpy(to, reinterpret_cast<const uint8_t*>(&f32) + 2, 2);
}

bool bf16_is_right() {
  constexpr int kPairs = kDepth / 2;
  Operands operands;
  for (int k = 0; k < kPairs; ++k) {
    const int64_t byte = int64_t{2} * k;
    for (int m = 0; m < kRows; ++m) {
      put_bf16(whole(5 * m + 3 * k), &operands.rows[m][byte]);
    }
    for (int n = 0; n < kColumns; ++n) {
      put_bf16(whole(7 * n + 11 * k), &operands.lines[byte / 4][n][byte % 4]);
    }
  }
  float sums[kRows][kColumns];
  multiply<AmxKind::kBf16>(operands, sums);
  for (int m = 0; m < kRows; ++m) {
    for (int n = 0; n < kColumns; ++n) {
      int wanted = 0;
      for (int k = 0; k < kPairs; ++k) {
        wanted += whole(5 * m + 3 * k) * whole(7 * n + 11 * k);
      }
      if (sums[m][n] != static_cast<float>(wanted)) return false;
    }
  }
  return true;
}

}  // namespace

bool amx_multiplies() {
  Operands operands;
  for (int k = 0; k < kDepth; ++k) {
    for (int m = 0; m < kRows; ++m) {
      operands.rows[m][k] = static_cast<uint8_t>(37 * m + 101 * k + 5);
    }
    for (int n = 0; n < kColumns; ++n) {
      operands.lines[k / kAmxLineBytes][n][k % kAmxLineBytes] =
          static_cast<uint8_t>(53 * n - 29 * k - 77);
    }
  }
  return bytes_are_right<AmxKind::kU8S8>(operands) &&
         bytes_are_right<AmxKind::kS8S8>(operands) && bf16_is_right();
}

}  // namespace tessera::cpu

#else

namespace tessera::cpu {
bool amx_multiplies() { return false; }
}  // namespace tessera::cpu

#endif
