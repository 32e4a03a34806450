// SPDX-License-Identifier: Apache-2.0
//
// The eight tile registers of AMX as kernels use them: four of sums, two of
// rows, two of columns.  A class, so that a test can put its own in its place
// and run a kernel's steps on any machine.
//
// Source  Intel 64 and IA-32 Architectures Software Developer's Manual, volume
//         2: LDTILECFG, TILELOADD, TILESTORED, TDPBUSD, TDPBSSD, TDPBF16PS

#pragma once

#include <stdint.h>

namespace tessera::cpu {

inline constexpr int kAmxRows = 16;
inline constexpr int kAmxRowBytes = 64;
inline constexpr int kAmxLineBytes = 4;  // of one column of a line

// Products of rows by columns: four bytes, or two bf16, at a time.
enum class AmxKind {
  kU8S8,  // to i32, modulo 2^32
  kS8S8,
  kBf16,  // to f32
};

// How much of the registers is used.  Of rows r and columns c: sums 2 r + c
// are of rows[r]; a row is depth[r] bytes, and so many lines of four bytes are
// columns c, so that rows r go with columns c where their depths are equal.
struct AmxShape {
  int rows[2] = {kAmxRows, kAmxRows};           // 1 to 16
  int depth[2] = {kAmxRowBytes, kAmxRowBytes};  // 4 to 64, multiples of 4

  bool operator==(const AmxShape&) const = default;
};

// Palette 1: what LDTILECFG reads.
struct alignas(64) AmxConfig {
  uint8_t palette = 1;
  uint8_t start_row = 0;
  uint8_t reserved[14] = {};
  uint16_t row_bytes[16] = {};
  uint8_t rows[16] = {};
};
static_assert(sizeof(AmxConfig) == 64);

class AmxTiles {
 public:
  // Clears all tiles.
  static void configure(const AmxShape& shape) {
    AmxConfig config;
    for (int i = 0; i < 4; ++i) {
      set(config, i, shape.rows[i / 2], kAmxRowBytes);
    }
    for (int i = 0; i < 2; ++i) {
      set(config, kFirstRows + i, shape.rows[i], shape.depth[i]);
      set(config, kFirstColumns + i, shape.depth[i] / kAmxLineBytes,
          kAmxRowBytes);
    }
    __asm__ volatile("ldtilecfg %0" : : "m"(config));
  }
  static void release() { __asm__ volatile("tilerelease"); }

  template <int kSums>
  static void clear() {
    __asm__ volatile("tilezero %%tmm%c0" : : "n"(kSums));
  }
  // 16 sums, of four bytes, of each row; `stride` bytes from row to row, which
  // may be 0.
  template <int kSums>
  static void load_sums(const void* from, int64_t stride) {
    load<kSums>(from, stride);
  }
  template <int kSums>
  static void store_sums(void* to, int64_t stride) {
    __asm__ volatile("tilestored %%tmm%c2, (%0,%1,1)"
                     :
                     : "r"(to), "r"(stride), "n"(kSums)
                     : "memory");
  }
  template <int kRows>
  static void load_rows(const void* from, int64_t stride) {
    load<kFirstRows + kRows>(from, stride);
  }
  // Lines of 64 bytes: four of each of 16 columns.
  template <int kColumns>
  static void load_columns(const void* from, int64_t stride) {
    load<kFirstColumns + kColumns>(from, stride);
  }
  // sums += rows times columns.
  template <AmxKind kKind, int kSums, int kRows, int kColumns>
  static void add() {
    constexpr int kA = kFirstRows + kRows;
    constexpr int kB = kFirstColumns + kColumns;
    if constexpr (kKind == AmxKind::kU8S8) {
      __asm__ volatile("tdpbusd %%tmm%c2, %%tmm%c1, %%tmm%c0"
                       :
                       : "n"(kSums), "n"(kA), "n"(kB));
    } else if constexpr (kKind == AmxKind::kS8S8) {
      __asm__ volatile("tdpbssd %%tmm%c2, %%tmm%c1, %%tmm%c0"
                       :
                       : "n"(kSums), "n"(kA), "n"(kB));
    } else {
      __asm__ volatile("tdpbf16ps %%tmm%c2, %%tmm%c1, %%tmm%c0"
                       :
                       : "n"(kSums), "n"(kA), "n"(kB));
    }
  }

 private:
  static constexpr int kFirstRows = 4;
  static constexpr int kFirstColumns = 6;

  static void set(AmxConfig& config, int tile, int rows, int row_bytes) {
    config.rows[tile] = static_cast<uint8_t>(rows);
    config.row_bytes[tile] = static_cast<uint16_t>(row_bytes);
  }
  template <int kTile>
  static void load(const void* from, int64_t stride) {
    __asm__ volatile("tileloadd (%0,%1,1), %%tmm%c2"
                     :
                     : "r"(from), "r"(stride), "n"(kTile)
                     : "memory");
  }
};

// The shape that the registers have, until the end of the scope; afterwards
// they are as if never used.
template <typename Tiles>
class AmxScope {
 public:
  AmxScope() = default;
  AmxScope(const AmxScope&) = delete;
  AmxScope& operator=(const AmxScope&) = delete;
  ~AmxScope() {
    if (is_configured_) Tiles::release();
  }

  // What tiles hold is lost if the shape changes.
  void configure(const AmxShape& shape) {
    if (is_configured_ && shape == shape_) return;
    Tiles::configure(shape);
    shape_ = shape;
    is_configured_ = true;
  }

 private:
  AmxShape shape_;
  bool is_configured_ = false;
};

}  // namespace tessera::cpu
