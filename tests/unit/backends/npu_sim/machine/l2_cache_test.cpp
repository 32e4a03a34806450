// SPDX-License-Identifier: Apache-2.0
//
// What L2 holds, and what it costs DRAM.

#include "backends/npu_sim/machine/l2_cache.hpp"

#include <gtest/gtest.h>

namespace tessera::npu {
namespace {

constexpr uint64_t kA = uint64_t{1} << 40;
constexpr uint64_t kB = uint64_t{2} << 40;

TEST(L2Cache, SecondReadHits) {
  L2Cache cache(1000, 1);
  EXPECT_DOUBLE_EQ(cache.read(kA, 100).dram_read_bytes, 100);
  EXPECT_DOUBLE_EQ(cache.read(kA, 100).miss_share, 0);
}

TEST(L2Cache, NeverHoldsMoreThanItsCapacity) {
  L2Cache cache(1000, 2);
  for (uint64_t i = 0; i < 100; ++i) {
    if (i % 3 == 0) {
      cache.write(kB + i, 90);
    } else {
      cache.read(kA + i, 90);
    }
    EXPECT_LE(cache.held_bytes(), 1000 * (1 + 1e-12));
  }
}

TEST(L2Cache, WorkingSetThatFitsMissesOnce) {
  L2Cache cache(1000, 1);
  double bytes = 0;
  for (int visit = 0; visit < 5; ++visit) {
    for (uint64_t i = 0; i < 9; ++i) {
      bytes += cache.read(kA + i, 100).dram_read_bytes;
    }
  }
  EXPECT_NEAR(bytes, 900, 1e-9);
}

// Random replacement: with twice the capacity of data some lines survive.
TEST(L2Cache, WorkingSetThatIsTooLargeKeepsAShare) {
  L2Cache cache(1000, 1);
  double misses = 0;
  for (int visit = 0; visit < 20; ++visit) {
    misses = 0;
    for (uint64_t i = 0; i < 2000; ++i) {
      misses += cache.read(kA + i, 1).dram_read_bytes;
    }
  }
  // h = exp(-(1 - h) * 2) has the solution 0.203.
  EXPECT_NEAR(1 - misses / 2000, 0.203, 0.001);
}

TEST(L2Cache, WrittenBytesStayUntilThereIsTime) {
  L2Cache cache(1000, 1);
  EXPECT_DOUBLE_EQ(cache.write(kB, 600).dram_write_bytes, 0);
  EXPECT_DOUBLE_EQ(cache.read(kA, 900).dram_write_bytes, 0);
  EXPECT_DOUBLE_EQ(cache.write_back(300), 300);
  EXPECT_DOUBLE_EQ(cache.write(kB + 1, 450).dram_write_bytes, 0);
}

TEST(L2Cache, TooManyWrittenBytesLeaveBesideWhatComesUntilAQuarterIsLeft) {
  L2Cache cache(1000, 1);
  EXPECT_DOUBLE_EQ(cache.write(kB, 740).dram_write_bytes, 0);
  EXPECT_DOUBLE_EQ(cache.write(kB + 1, 20).dram_write_bytes, 10 + 20);
  EXPECT_DOUBLE_EQ(cache.read(kA, 400).dram_write_bytes, 400);
  EXPECT_DOUBLE_EQ(cache.read(kA + 1, 400).dram_write_bytes, 80);
  EXPECT_DOUBLE_EQ(cache.read(kA + 2, 400).dram_write_bytes, 0);
}

TEST(L2Cache, WhatIsWrittenOverAndOverStaysWhileResultsPass) {
  constexpr uint64_t kPlace = uint64_t{3} << 40;
  L2Cache cache(1000, 1);
  double written = 0;
  for (uint64_t i = 0; i < 100; ++i) {
    written += cache.write(kPlace, 100).dram_write_bytes;
    written += cache.write(kB + i, 100).dram_write_bytes;
    // It is still there when it is read.
    EXPECT_EQ(cache.read(kPlace, 100).miss_share, 0) << i;
  }
  // No more leaves than the 10000 bytes of results.
  EXPECT_LE(written, 10000);
}

TEST(L2Cache, ResultsLargerThanItAreReadBackFromDram) {
  L2Cache cache(1000, 1);
  // Far apart: what was written next to them last says nothing about others.
  const auto place = [](uint64_t i) { return kB + (i << 24); };
  for (uint64_t i = 0; i < 100; ++i) cache.write(place(i), 100);
  double misses = 0;
  for (uint64_t i = 0; i < 100; ++i) {
    misses += cache.read(place(i), 100).dram_read_bytes;
  }
  // Of 10000 bytes it held 250 to 750 dirty ones, and clean ones in the rest;
  // while pieces come back, these go.
  EXPECT_GT(misses, 9000);
  EXPECT_LT(misses, 9750);
}

TEST(L2Cache, WhatWasWrittenHitsInOtherPieces) {
  L2Cache cache(1000, 1);
  cache.write(kB, 400);
  EXPECT_DOUBLE_EQ(cache.read(kB + 100, 50).miss_share, 0);
}

}  // namespace
}  // namespace tessera::npu
