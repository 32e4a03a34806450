// SPDX-License-Identifier: Apache-2.0
//
// AmxTiles in plain C++, as the manual's operations say, so that the steps of
// kernels run on machines without the registers.  What a processor would refuse
// is an error, and memory beyond what is configured is never touched.
//
// Source  Intel 64 and IA-32 Architectures Software Developer's Manual, volume
//         2: LDTILECFG, TILELOADD, TILESTORED, TDPBUSD, TDPBSSD, TDPBF16PS

#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>
#include <stdexcept>

#include "backends/cpu/kernels/amx/amx_tiles.hpp"

namespace tessera::cpu {

class EmulatedTiles {
 public:
  static void configure(const AmxShape& shape) {
    state() = {};
    state().is_configured = true;
    for (int i = 0; i < 4; ++i) set(i, shape.rows[i / 2], kAmxRowBytes);
    for (int i = 0; i < 2; ++i) {
      set(kFirstRows + i, shape.rows[i], shape.depth[i]);
      set(kFirstColumns + i, shape.depth[i] / kAmxLineBytes, kAmxRowBytes);
    }
  }
  static void release() { state() = {}; }
  static bool is_released() { return !state().is_configured; }

  template <int kSums>
  static void clear() {
    std::memset(tile(kSums).bytes, 0, sizeof(Tile::bytes));
  }
  template <int kSums>
  static void load_sums(const void* from, int64_t stride) {
    load(kSums, from, stride);
  }
  template <int kSums>
  static void store_sums(void* to, int64_t stride) {
    const Tile& sums = tile(kSums);
    for (int m = 0; m < sums.rows; ++m) {
      std::memcpy(static_cast<char*>(to) + m * stride, sums.bytes[m],
                  static_cast<size_t>(sums.row_bytes));
    }
  }
  template <int kRows>
  static void load_rows(const void* from, int64_t stride) {
    load(kFirstRows + kRows, from, stride);
  }
  template <int kColumns>
  static void load_columns(const void* from, int64_t stride) {
    load(kFirstColumns + kColumns, from, stride);
  }
  template <AmxKind kKind, int kSums, int kRows, int kColumns>
  static void add() {
    Tile& sums = tile(kSums);
    const Tile& a = tile(kFirstRows + kRows);
    const Tile& b = tile(kFirstColumns + kColumns);
    if (a.rows != sums.rows || a.row_bytes != kAmxLineBytes * b.rows) {
      throw std::logic_error("tiles of shapes that do not go together");
    }
    for (int m = 0; m < sums.rows; ++m) {
      if constexpr (kKind == AmxKind::kBf16) {
        add_bf16_row(a, b, m, sums);
      } else {
        add_byte_row<kKind>(a, b, m, sums);
      }
    }
  }

  // a * b + c with denormals taken as zero and flushed to it, rounded once to
  // the nearest, ties to even.
  static float multiply_add(float a, float b, float c) {
    return flushed(std::fma(zeroed(a), zeroed(b), zeroed(c)), a, b, c);
  }

 private:
  static constexpr int kFirstRows = 4;
  static constexpr int kFirstColumns = 6;

  struct Tile {
    int rows = 0;
    int row_bytes = 0;
    uint8_t bytes[kAmxRows][kAmxRowBytes] = {};
  };
  struct State {
    bool is_configured = false;
    Tile tiles[8];
  };

  static State& state() {
    static thread_local State now;
    return now;
  }
  static Tile& tile(int i) {
    if (!state().is_configured) throw std::logic_error("no configuration");
    return state().tiles[i];
  }
  static void set(int i, int rows, int row_bytes) {
    if (rows < 1 || rows > kAmxRows || row_bytes < kAmxLineBytes ||
        row_bytes > kAmxRowBytes || row_bytes % kAmxLineBytes != 0) {
      throw std::logic_error("a tile has 1 to 16 rows of 4 to 64 bytes");
    }
    state().tiles[i].rows = rows;
    state().tiles[i].row_bytes = row_bytes;
  }

  static void load(int i, const void* from, int64_t stride) {
    Tile& to = tile(i);
    std::memset(to.bytes, 0, sizeof(to.bytes));
    for (int m = 0; m < to.rows; ++m) {
      std::memcpy(to.bytes[m], static_cast<const char*>(from) + m * stride,
                  static_cast<size_t>(to.row_bytes));
    }
  }

  template <AmxKind kKind>
  static void add_byte_row(const Tile& a, const Tile& b, int m, Tile& sums) {
    for (int n = 0; n < kAmxRows; ++n) {
      uint32_t sum = 0;
      for (int k = 0; k < a.row_bytes; ++k) {
        const uint8_t x = a.bytes[m][k];
        const int left =
            kKind == AmxKind::kU8S8 ? int{x} : int{static_cast<int8_t>(x)};
        sum += static_cast<uint32_t>(
            left * static_cast<int8_t>(b.bytes[k / 4][4 * n + k % 4]));
      }
      uint32_t old = 0;
      std::memcpy(&old, &sums.bytes[m][4 * n], 4);
      old += sum;
      std::memcpy(&sums.bytes[m][4 * n], &old, 4);
    }
  }

  // The even and the odd columns are added up apart, from zero, then both, then
  // to what was there.
  static void add_bf16_row(const Tile& a, const Tile& b, int m, Tile& sums) {
    for (int n = 0; n < kAmxRows; ++n) {
      float parts[2] = {0.0f, 0.0f};
      for (int k = 0; k < a.row_bytes / kAmxLineBytes; ++k) {
        for (int i = 0; i < 2; ++i) {
          parts[i] =
              multiply_add(bf16_at(&a.bytes[m][4 * k + 2 * i]),
                           bf16_at(&b.bytes[k][4 * n + 2 * i]), parts[i]);
        }
      }
      float old = 0.0f;
      std::memcpy(&old, &sums.bytes[m][4 * n], 4);
      const float both = multiply_add(parts[0], 1.0f, parts[1]);
      const float sum = multiply_add(both, 1.0f, old);
      std::memcpy(&sums.bytes[m][4 * n], &sum, 4);
    }
  }
  static float bf16_at(const uint8_t* from) {
    uint32_t bits = 0;
    std::memcpy(reinterpret_cast<uint8_t*>(&bits) + 2, from, 2);
    float value = 0.0f;
    std::memcpy(&value, &bits, 4);
    return value;
  }

  static constexpr float kLeastNormal = 0x1p-126f;
  static float zeroed(float x) {
    return std::fabs(x) < kLeastNormal ? std::copysign(0.0f, x) : x;
  }
  // Zero if the result is less than any normal number once it is rounded to 24
  // bits, whatever its exponent: so it is taken to numbers 2^64 times as large.
  static float flushed(float result, float a, float b, float c) {
    if (result == 0.0f || !(std::fabs(result) <= kLeastNormal)) return result;
    const float scaled =
        std::fma(zeroed(a) * 0x1p32f, zeroed(b) * 0x1p32f, zeroed(c) * 0x1p64f);
    return std::fabs(scaled) < kLeastNormal * 0x1p64f
               ? std::copysign(0.0f, result)
               : result;
  }
};

}  // namespace tessera::cpu
