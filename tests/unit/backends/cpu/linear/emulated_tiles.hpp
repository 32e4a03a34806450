// SPDX-License-Identifier: Apache-2.0
//
// AmxTiles in plain C++, as the manual's operations say, so that the steps of
// kernels run on machines without the registers.  What no processor would do is
// an error: rows beyond those configured are never read or written.
//
// Source  Intel 64 and IA-32 Architectures Software Developer's Manual, volume
//         2: TILELOADD, TILESTORED, TDPBUSD

#pragma once

#include <cstdint>
#include <cstring>
#include <stdexcept>

namespace tessera::cpu {

class EmulatedTiles {
 public:
  static void configure(const int (&rows)[2]) {
    state() = {};
    state().is_configured = true;
    for (int block = 0; block < 2; ++block) {
      if (rows[block] < 1 || rows[block] > kRows) {
        throw std::logic_error("a tile has 1 to 16 rows");
      }
      state().rows[block] = rows[block];
    }
  }
  static void release() { state() = {}; }

  template <int kRow, int kColumn>
  static void clear() {
    std::memset(sums<kRow, kColumn>(), 0, sizeof(Sums));
  }
  template <int kRow>
  static void load_rows(const void* from, int64_t stride) {
    State& now = configured();
    std::memset(now.x[kRow], 0, sizeof(now.x[kRow]));
    for (int m = 0; m < now.rows[kRow]; ++m) {
      std::memcpy(now.x[kRow][m], static_cast<const char*>(from) + m * stride,
                  kBytes);
    }
  }
  template <int kColumn>
  static void load_columns(const void* from) {
    std::memcpy(configured().w[kColumn], from, kRows * kBytes);
  }
  template <int kRow, int kColumn>
  static void add_u8s8() {
    State& now = configured();
    auto* out = sums<kRow, kColumn>();
    for (int m = 0; m < now.rows[kRow]; ++m) {
      for (int n = 0; n < kRows; ++n) {
        uint32_t sum = 0;
        for (int k = 0; k < kBytes; ++k) {
          const auto w =
              static_cast<int8_t>(now.w[kColumn][k / 4][n * 4 + k % 4]);
          sum += static_cast<uint32_t>(now.x[kRow][m][k] * w);
        }
        out[m * kRows + n] += sum;
      }
    }
  }
  template <int kRow, int kColumn>
  static void store(void* to, int64_t stride) {
    for (int m = 0; m < configured().rows[kRow]; ++m) {
      std::memcpy(static_cast<char*>(to) + m * stride,
                  sums<kRow, kColumn>() + m * kRows, kBytes);
    }
  }

  static bool is_released() { return !state().is_configured; }

 private:
  static constexpr int kRows = 16;
  static constexpr int kBytes = 64;
  using Sums = uint32_t[kRows * kRows];

  struct State {
    bool is_configured = false;
    int rows[2] = {};
    uint8_t x[2][kRows][kBytes] = {};
    uint8_t w[2][kRows][kBytes] = {};
    Sums sums[4] = {};
  };

  static State& state() {
    static thread_local State now;
    return now;
  }
  static State& configured() {
    if (!state().is_configured) throw std::logic_error("no configuration");
    return state();
  }
  template <int kRow, int kColumn>
  static uint32_t* sums() {
    return configured().sums[2 * kRow + kColumn];
  }
};

}  // namespace tessera::cpu
