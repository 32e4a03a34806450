// SPDX-License-Identifier: Apache-2.0
//
// Which weight formats are packed into tiles of 16 rows, and how: the table
// that packing, kernels and tests share.

#pragma once

#include <cstdint>

#include "tessera/types.h"

namespace tessera::cpu {

// How a code is stored, and what it stands for.
enum class Codes : uint8_t {
  kI8,       // s8
  kNibbles,  // low four bits of a code, whose rest lies in the high bits
  kF4E2M1,   // nibbles, likewise the next
  kIq4Nl,
  kF8E4M3,  // bytes
  kF8E5M2,
  kBf16,
};

// What a group of columns is multiplied by, and where that lies.
enum class Scales : uint8_t {
  kNone,
  kF32,     // f32 [groups][16]
  kF16,     // f16 [groups][16]
  kE8M0,    // a byte [groups][16]
  kF8E4M3,  // a byte [groups][16]
  kQ4K,     // [K / 256]: d f16 [16], dmin f16 [16], u32 [3][16] of Q4_K's bytes
  kQ6K,     // [K / 256]: u32 [4][16] of the codes + 128, d f16 [16]
};

// A value is scale * (code - zero) + min.
struct TileFormat {
  const char* name;  // as in the names of kernels
  uint32_t format;   // TSR_WEIGHT_*
  Codes codes;
  int high_bits;  // 0, 1 or 2 of a code, beside the nibbles
  int zero;       // taken from every code
  Scales scales;
  int group;      // columns that share a scale; 0: as the SCALE plane says
  bool has_mins;  // f16 [groups][16] unless inside the scales
};

// clang-format off
inline constexpr TileFormat kTileFormats[] = {
    // name      format             codes            high zero scales            group mins
    {"i8",       TSR_WEIGHT_I8,     Codes::kI8,      0,   0,   Scales::kF32,     0,    false},
    {"u4",       TSR_WEIGHT_U4,     Codes::kNibbles, 0,   8,   Scales::kF32,     0,    false},
    {"bf16",     TSR_WEIGHT_BF16,   Codes::kBf16,    0,   0,   Scales::kNone,    0,    false},
    {"f8e4m3",   TSR_WEIGHT_F8E4M3, Codes::kF8E4M3,  0,   0,   Scales::kF32,     0,    false},
    {"f8e5m2",   TSR_WEIGHT_F8E5M2, Codes::kF8E5M2,  0,   0,   Scales::kF32,     0,    false},
    {"f4e2m1",   TSR_WEIGHT_F4E2M1, Codes::kF4E2M1,  0,   0,   Scales::kF32,     0,    false},
    {"mxfp4",    TSR_WEIGHT_MXFP4,  Codes::kF4E2M1,  0,   0,   Scales::kE8M0,    32,   false},
    {"nvfp4",    TSR_WEIGHT_NVFP4,  Codes::kF4E2M1,  0,   0,   Scales::kF8E4M3,  16,   false},
    {"q4_0",     TSR_WEIGHT_Q4_0,   Codes::kNibbles, 0,   8,   Scales::kF16,     32,   false},
    {"q4_1",     TSR_WEIGHT_Q4_1,   Codes::kNibbles, 0,   0,   Scales::kF16,     32,   true},
    {"q5_0",     TSR_WEIGHT_Q5_0,   Codes::kNibbles, 1,   16,  Scales::kF16,     32,   false},
    {"q5_1",     TSR_WEIGHT_Q5_1,   Codes::kNibbles, 1,   0,   Scales::kF16,     32,   true},
    {"q8_0",     TSR_WEIGHT_Q8_0,   Codes::kI8,      0,   0,   Scales::kF16,     32,   false},
    {"iq4_nl",   TSR_WEIGHT_IQ4_NL, Codes::kIq4Nl,   0,   0,   Scales::kF16,     32,   false},
    {"q4_k",     TSR_WEIGHT_Q4_K,   Codes::kNibbles, 0,   0,   Scales::kQ4K,     32,   true},
    {"q5_k",     TSR_WEIGHT_Q5_K,   Codes::kNibbles, 1,   0,   Scales::kQ4K,     32,   true},
    {"q6_k",     TSR_WEIGHT_Q6_K,   Codes::kNibbles, 2,   32,  Scales::kQ6K,     16,   false},
};
// clang-format on
// Of 16 rows and 256 columns.
inline constexpr int kQ4KScaleBytes = 256;
inline constexpr int kQ6KScaleBytes = 256 + 32;

inline constexpr int kNumTileFormats =
    static_cast<int>(sizeof(kTileFormats) / sizeof(kTileFormats[0]));

// The row of a format, kNumTileFormats if it has none.  U8, I4 and SPARSE_FIXED
// become the codes of I8 and U4 when packed.
constexpr int tile_format_index(uint32_t format) {
  if (format == TSR_WEIGHT_U8 || format == TSR_WEIGHT_SPARSE_FIXED) {
    format = TSR_WEIGHT_I8;
  }
  if (format == TSR_WEIGHT_I4) format = TSR_WEIGHT_U4;
  int i = 0;
  while (i < kNumTileFormats && kTileFormats[i].format != format) ++i;
  return i;
}

// Whether a weight of that row can have a ZERO_POINT plane.
constexpr bool may_have_zeros(const TileFormat& row) {
  return row.format == TSR_WEIGHT_I8 || row.format == TSR_WEIGHT_U4;
}

constexpr int code_bits(Codes codes) {
  switch (codes) {
    case Codes::kBf16:
      return 16;
    case Codes::kNibbles:
    case Codes::kF4E2M1:
    case Codes::kIq4Nl:
      return 4;
    default:
      return 8;
  }
}

// The value of nibble `code`; also of kI8 and of a code with high bits.
constexpr float nibble_value(const TileFormat& format, int code) {
  constexpr float kE2M1[8] = {0.0f, 0.5f, 1.0f, 1.5f, 2.0f, 3.0f, 4.0f, 6.0f};
  constexpr float kIq4Nl[16] = {-127, -104, -83, -65, -49, -35, -22, -10,
                                1,    13,   25,  38,  53,  69,  89,  113};
  if (format.codes == Codes::kF4E2M1) {
    return code < 8 ? kE2M1[code] : -kE2M1[code - 8];
  }
  if (format.codes == Codes::kIq4Nl) return kIq4Nl[code];
  return static_cast<float>(code - format.zero);
}

// ---- Where high bits lie ---------------------------------------------------
//
// Nibbles lie 64 bytes at a time, [16 rows][4 bytes]: byte b holds column b of
// eight in its low nibble and column b + 4 in its high one.  The high bits of a
// row follow in u32s of 32 columns (one bit each) or 16 (two bits): bits 0..15
// for columns in the first two bytes, 16..31 for those in the others, each half
// step by step of eight columns, within a step by place of the nibble in the
// half.  So a half's bits line up with its nibbles after one shift.

// Column c of eight: bits from the lowest of its nibble in its half.
constexpr int nibble_place(int c) { return 2 * (c & 1) + (c >> 2); }
constexpr int nibble_half(int c) { return c >> 1 & 1; }

// The lowest bit of column c of step `step` in the u32.
constexpr int high_place(int high_bits, int step, int c) {
  return 16 * nibble_half(c) + high_bits * (4 * step + nibble_place(c));
}

// ---- Where 16-bit inputs lie -----------------------------------------------
//
// vdpbf16ps multiplies pairs of columns.  Those that one shift brings to the
// low bits of the halves are columns (0, 2), (4, 6), (1, 3) and (5, 7) of eight
// nibbles, (0, 2) and (1, 3) of four bytes; rows of x are arranged likewise.
constexpr int paired_column(int bits, int i) {
  constexpr int kEight[8] = {0, 2, 4, 6, 1, 3, 5, 7};
  constexpr int kFour[4] = {0, 2, 1, 3};
  if (bits == 4) return i / 8 * 8 + kEight[i % 8];
  if (bits == 8) return i / 4 * 4 + kFour[i % 4];
  return i;
}

}  // namespace tessera::cpu
