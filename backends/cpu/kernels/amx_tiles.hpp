// SPDX-License-Identifier: Apache-2.0
//
// The eight tile registers of AMX as kernels use them: four of sums, two of
// rows, two of columns.  A class, so that a test can put its own in its place
// and run a kernel's steps on any machine.
//
// Source  Intel 64 and IA-32 Architectures Software Developer's Manual, volume
//         2: LDTILECFG, TILELOADD, TILESTORED, TDPBUSD, TDPBF16PS

#pragma once

#include <immintrin.h>
#include <stdint.h>

namespace tessera::cpu {

// Palette 1: what LDTILECFG reads.
struct alignas(64) AmxConfig {
  uint8_t palette = 1;
  uint8_t start_row = 0;
  uint8_t reserved[14] = {};
  uint16_t row_bytes[16] = {};
  uint8_t rows[16] = {};
};
static_assert(sizeof(AmxConfig) == 64);

inline constexpr int kAmxRows = 16;
inline constexpr int kAmxRowBytes = 64;

// Two by two blocks of sums: tile 2 r + c is of rows r and columns c.
class AmxTiles {
 public:
  // `rows` of each of the two blocks of rows, 1 to 16; clears all tiles.
  static void configure(const int (&rows)[2]) {
    AmxConfig config;
    for (int tile = 0; tile < 8; ++tile) {
      const int block = tile < 4 ? tile / 2 : tile - 4;
      config.row_bytes[tile] = kAmxRowBytes;
      config.rows[tile] =
          static_cast<uint8_t>(tile < 6 ? rows[block] : kAmxRows);
    }
    before_reading(&config);
    _tile_loadconfig(&config);
  }
  static void release() { _tile_release(); }

  template <int kRow, int kColumn>
  static void clear() {
    if constexpr (kRow == 0 && kColumn == 0) _tile_zero(0);
    if constexpr (kRow == 0 && kColumn == 1) _tile_zero(1);
    if constexpr (kRow == 1 && kColumn == 0) _tile_zero(2);
    if constexpr (kRow == 1 && kColumn == 1) _tile_zero(3);
  }
  // 64 bytes of each row.
  template <int kRow>
  static void load_rows(const void* from, int64_t stride) {
    before_reading(from);
    if constexpr (kRow == 0) _tile_loadd(4, from, stride);
    if constexpr (kRow == 1) _tile_loadd(5, from, stride);
  }
  // 16 lines of 64 bytes: four bytes, or two bf16, of each of 16 columns.
  template <int kColumn>
  static void load_columns(const void* from) {
    before_reading(from);
    if constexpr (kColumn == 0) _tile_loadd(6, from, kAmxRowBytes);
    if constexpr (kColumn == 1) _tile_loadd(7, from, kAmxRowBytes);
  }
  // sums += rows (u8) times columns (s8), modulo 2^32.
  template <int kRow, int kColumn>
  static void add_u8s8() {
    if constexpr (kRow == 0 && kColumn == 0) _tile_dpbusd(0, 4, 6);
    if constexpr (kRow == 0 && kColumn == 1) _tile_dpbusd(1, 4, 7);
    if constexpr (kRow == 1 && kColumn == 0) _tile_dpbusd(2, 5, 6);
    if constexpr (kRow == 1 && kColumn == 1) _tile_dpbusd(3, 5, 7);
  }
  template <int kRow, int kColumn>
  static void store(void* to, int64_t stride) {
    if constexpr (kRow == 0 && kColumn == 0) _tile_stored(0, to, stride);
    if constexpr (kRow == 0 && kColumn == 1) _tile_stored(1, to, stride);
    if constexpr (kRow == 1 && kColumn == 0) _tile_stored(2, to, stride);
    if constexpr (kRow == 1 && kColumn == 1) _tile_stored(3, to, stride);
  }

 private:
  // The intrinsics do not tell the compiler that they read memory.
  static void before_reading(const void* from) {
    __asm__ volatile("" : : "r"(from) : "memory");
  }
};

}  // namespace tessera::cpu
