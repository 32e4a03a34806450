// SPDX-License-Identifier: Apache-2.0
//
// The block table hands out each block once and takes all of them back.

#include "framework/runtime/kv_blocks.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>
#include <set>

namespace tessera {
namespace {

using ::testing::HasSubstr;

TEST(KvBlocks, MapsPositionsToSlotsOfTheSequencesBlocks) {
  KvBlocks blocks(4, 2, 1, 4);
  const uint32_t row = *blocks.open();
  ASSERT_TRUE(blocks.extend(row, 3).ok());
  const int32_t* table = blocks.block_table(row);
  EXPECT_EQ(blocks.slot(row, 0), table[0] * 2);
  EXPECT_EQ(blocks.slot(row, 1), table[0] * 2 + 1);
  EXPECT_EQ(blocks.slot(row, 2), table[1] * 2);
  EXPECT_EQ(blocks.num_free_blocks(), 2u);
}

TEST(KvBlocks, ChangesNothingWhenThePoolIsFull) {
  KvBlocks blocks(2, 4, 2, 8);
  const uint32_t first = *blocks.open();
  const uint32_t second = *blocks.open();
  ASSERT_TRUE(blocks.extend(first, 5).ok());
  const Status status = blocks.extend(second, 1);
  EXPECT_EQ(status.code(), TSR_RESOURCE_EXHAUSTED);
  EXPECT_THAT(status.message(), HasSubstr("KV cache is full"));
  EXPECT_EQ(blocks.length(second), 0u);
  EXPECT_TRUE(blocks.extend(first, 3).ok()) << "its second block has room";
}

TEST(KvBlocks, RefusesMoreThanTheContext) {
  KvBlocks blocks(8, 4, 1, 2);
  const uint32_t row = *blocks.open();
  EXPECT_TRUE(blocks.extend(row, 8).ok());
  EXPECT_THAT(blocks.extend(row, 1).message(), HasSubstr("context of 8"));
}

TEST(KvBlocks, RefusesMoreSequencesThanItHasRows) {
  KvBlocks blocks(8, 4, 1, 2);
  const uint32_t row = *blocks.open();
  EXPECT_EQ(blocks.open().status().code(), TSR_RESOURCE_EXHAUSTED);
  blocks.close(row);
  EXPECT_TRUE(blocks.open().ok());
}

TEST(KvBlocks, TruncatingFreesWholeBlocksOnly) {
  KvBlocks blocks(4, 2, 1, 4);
  const uint32_t row = *blocks.open();
  ASSERT_TRUE(blocks.extend(row, 7).ok());
  blocks.truncate(row, 3);
  EXPECT_EQ(blocks.num_free_blocks(), 2u);
  EXPECT_EQ(blocks.length(row), 3u);
}

// Whatever sequences do, no block has two owners and none is lost.
TEST(KvBlocks, NeverSharesOrLosesABlock) {
  constexpr uint32_t kBlocks = 32;
  constexpr uint32_t kBlockSize = 4;
  KvBlocks blocks(kBlocks, kBlockSize, 5, 16);
  std::mt19937 rng(42);
  std::vector<uint32_t> open;
  for (int i = 0; i < 3000; ++i) {
    const auto what = rng() % 8;
    if (what == 0) {
      if (const auto row = blocks.open(); row.ok()) open.push_back(*row);
    } else if (what == 1 && !open.empty()) {
      blocks.close(open.back());
      open.pop_back();
    } else if (!open.empty()) {
      (void)blocks
          .extend(open[rng() % open.size()], static_cast<uint32_t>(rng() % 9))
          .ok();
    }
    std::set<int32_t> owned;
    size_t held = 0;
    for (const uint32_t row : open) {
      for (uint32_t p = 0; p < blocks.length(row); p += kBlockSize) {
        owned.insert(blocks.slot(row, p) / static_cast<int32_t>(kBlockSize));
        ++held;
      }
    }
    ASSERT_EQ(owned.size(), held) << "step " << i << ", seed 42";
    ASSERT_EQ(held + blocks.num_free_blocks(), kBlocks);
  }
}

}  // namespace
}  // namespace tessera
