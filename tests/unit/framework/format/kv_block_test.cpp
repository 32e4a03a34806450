// SPDX-License-Identifier: Apache-2.0

#include "framework/format/kv_block.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cmath>

namespace tessera::format {
namespace {

tsr_kv_desc kv_desc(uint32_t format, uint32_t heads, uint32_t head_dim,
                    uint32_t block_size) {
  tsr_kv_desc desc{};
  desc.struct_size = sizeof(desc);
  desc.format = format;
  desc.num_kv_heads = heads;
  desc.head_dim = head_dim;
  desc.block_size = block_size;
  desc.num_blocks = 1;
  return desc;
}

TEST(KvBlock, PartsFollowOnEachOtherAtMultiplesOf64) {
  const auto f32 = kv_block_layout(kv_desc(TSR_KV_F32, 2, 8, 4));
  ASSERT_TRUE(f32.ok());
  EXPECT_EQ(f32->k_codes, 0u);
  EXPECT_EQ(f32->v_codes, 256u);
  EXPECT_EQ(f32->bytes, 512u);

  // 3 * 5 * 7 codes need 105 bytes, 3 * 5 scales 60.
  const auto token = kv_block_layout(kv_desc(TSR_KV_I8_TOKEN, 3, 7, 5));
  ASSERT_TRUE(token.ok());
  EXPECT_EQ(token->code_dtype, uint32_t{TSR_I8});
  EXPECT_EQ(token->v_codes, 128u);
  EXPECT_EQ(token->k_scales, 256u);
  EXPECT_EQ(token->v_scales, 320u);
  EXPECT_EQ(token->bytes, 384u);

  const auto head = kv_block_layout(kv_desc(TSR_KV_I8_HEAD, 3, 7, 5));
  ASSERT_TRUE(head.ok());
  EXPECT_EQ(head->bytes, 256u);
}

TEST(KvBlock, RefusesWhatCannotBeABlock) {
  EXPECT_FALSE(kv_block_layout(kv_desc(99, 1, 1, 1)).ok());
  EXPECT_FALSE(kv_block_layout(kv_desc(TSR_KV_F32, 0, 1, 1)).ok());
  EXPECT_FALSE(kv_block_layout(kv_desc(TSR_KV_F32, 1, 0, 1)).ok());
  EXPECT_FALSE(kv_block_layout(kv_desc(TSR_KV_F32, 1, 1, 0)).ok());
  const uint32_t huge = UINT32_MAX;
  EXPECT_FALSE(kv_block_layout(kv_desc(TSR_KV_F32, huge, huge, huge)).ok());
}

// P >= k iff the rounded probability 127 exp(-c d) is at least k - 0.5.
TEST(ProbabilityThresholds, AreTheRoundedExponential) {
  for (const double c : {0.003, 0.01, 0.1, 1.0, 10.0}) {
    std::array<int32_t, 127> thresholds{};
    probability_thresholds(c, thresholds);
    for (int32_t d = 0; d < 3000; ++d) {
      const double p = 127.0 * std::exp(-c * d);
      int32_t code = 0;
      while (code < 127 && d <= thresholds[static_cast<size_t>(code)]) ++code;
      EXPECT_NEAR(code, p, 0.5 + 1e-12) << c << " " << d;
    }
    EXPECT_GE(thresholds[126], 0);
  }
}

TEST(ProbabilityThresholds, SaturateForVanishingScales) {
  std::array<int32_t, 127> thresholds{};
  probability_thresholds(1e-30, thresholds);
  for (const int32_t threshold : thresholds) EXPECT_EQ(threshold, INT32_MAX);
}

}  // namespace
}  // namespace tessera::format
