// SPDX-License-Identifier: Apache-2.0
//
// That the tiles which stand in for AMX round, flush and order as the manual
// has it: kernels on them are as good as this.

#include "tests/unit/backends/cpu/amx/emulated_tiles.hpp"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <vector>

namespace tessera::cpu {
namespace {

uint16_t bf16(float x) {
  return static_cast<uint16_t>(std::bit_cast<uint32_t>(x) >> 16);
}

// One row of pairs by one column of pairs, added to `start`.
float product(const std::vector<float>& a, const std::vector<float>& b,
              float start) {
  const auto depth = static_cast<int>(2 * a.size());
  EmulatedTiles::configure({{1, 1}, {depth, depth}});
  uint16_t row[32] = {};
  uint16_t lines[16][32] = {};
  for (size_t k = 0; k < a.size(); ++k) {
    row[k] = bf16(a[k]);
    lines[k / 2][k % 2] = bf16(b[k]);
  }
  float sums[16] = {start};
  EmulatedTiles::load_sums<0>(sums, 64);
  EmulatedTiles::load_rows<0>(row, 64);
  EmulatedTiles::load_columns<0>(lines, 64);
  EmulatedTiles::add<AmxKind::kBf16, 0, 0, 0>();
  EmulatedTiles::store_sums<0>(sums, 64);
  EmulatedTiles::release();
  return sums[0];
}

TEST(EmulatedBf16, AddsUpEvenAndOddColumnsApart) {
  // One after another 2^24 + 1 would lose the ones; a chain of their own has 2.
  EXPECT_EQ(product({0x1p24f, 1, 0, 1}, {1, 1, 1, 1}, 0.0f), 0x1p24f + 2.0f);
  // Within a chain every sum is rounded, ties to even.
  EXPECT_EQ(product({0x1p24f, 0, 1, 0, 1, 0}, {1, 1, 1, 1, 1, 1}, 0.0f),
            0x1p24f);
  // The old sum is added last, once.
  EXPECT_EQ(product({1, 0, 1, 0}, {1, 0, 1, 0}, 0x1p24f), 0x1p24f + 2.0f);
}

TEST(EmulatedBf16, TakesDenormalsAsZero) {
  EXPECT_EQ(product({0x1p-127f, 0}, {0x1p100f, 0}, 0.0f), 0.0f);
  EXPECT_EQ(product({0x1p100f, 0}, {0x1p-127f, 0}, 1.0f), 1.0f);
  EXPECT_EQ(product({0, 0}, {0, 0}, 0x1p-130f), 0.0f);
}

TEST(EmulatedBf16, FlushesWhatGetsSmallerThanNormalNumbers) {
  EXPECT_EQ(product({0x1p-64f, 0}, {0x1p-62f, 0}, 0.0f), 0x1p-126f);
  EXPECT_EQ(product({0x1p-64f, 0}, {0x1p-63f, 0}, 0.0f), 0.0f);
  EXPECT_TRUE(
      std::signbit(EmulatedTiles::multiply_add(-0x1p-64f, 0x1p-63f, 0.0f)));
  // 1 - 2^-24 of it has 24 bits and is less; 1 - 2^-26 of it rounds to it.
  EXPECT_EQ(EmulatedTiles::multiply_add(0x1.fffffep-64f, 0x1p-63f, 0.0f), 0.0f);
  EXPECT_EQ(EmulatedTiles::multiply_add(0x1.fffp-64f, 0x1.0008p-63f, 0.0f),
            0x1p-126f);
}

TEST(EmulatedBf16, KeepsNanAndInfinityToTheirSum) {
  EXPECT_TRUE(std::isnan(product({NAN, 0}, {1, 0}, 0.0f)));
  EXPECT_TRUE(std::isnan(product({INFINITY, 0}, {0, 0}, 0.0f)));
  EXPECT_EQ(product({INFINITY, 1}, {1, 1}, 0.0f), INFINITY);
}

TEST(EmulatedTiles, RefusesWhatAProcessorWould) {
  EXPECT_THROW(EmulatedTiles::configure({{17, 1}, {64, 64}}), std::logic_error);
  EXPECT_THROW(EmulatedTiles::configure({{1, 1}, {6, 64}}), std::logic_error);
  EmulatedTiles::release();
  EXPECT_THROW(EmulatedTiles::clear<0>(), std::logic_error);
  EmulatedTiles::configure({{16, 16}, {64, 8}});
  EXPECT_THROW((EmulatedTiles::add<AmxKind::kU8S8, 0, 0, 1>()),
               std::logic_error);
  EmulatedTiles::release();
}

}  // namespace
}  // namespace tessera::cpu
