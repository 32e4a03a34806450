// SPDX-License-Identifier: Apache-2.0
//
// Sizes of KV blocks as tessera/types.h draws them, and block copies.

#include "backends/cpu/kernels/attention/kv_layout.hpp"

#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <vector>

#include "tessera/error.hpp"
#include "tests/unit/backends/cpu/attention/kv_pool.hpp"

namespace tessera::cpu {
namespace {

tsr_kv_desc desc_of(uint32_t format) { return kv_desc(format, 3, 20, 5, 4); }

// 3 heads of 5 tokens of 20 codes are 300 elements; their scales 60 bytes.
TEST(KvLayout, StartsEachPartAtAMultipleOf64) {
  const KvLayout f32 = make_kv_layout(desc_of(TSR_KV_F32));
  EXPECT_EQ(f32.v_offset, 1216);
  EXPECT_EQ(f32.block_bytes, 2432);
  const KvLayout bf16 = make_kv_layout(desc_of(TSR_KV_BF16));
  EXPECT_EQ(bf16.v_offset, 640);
  EXPECT_EQ(bf16.block_bytes, 1280);
  const KvLayout token = make_kv_layout(desc_of(TSR_KV_I8_TOKEN));
  EXPECT_EQ(token.v_offset, 320);
  EXPECT_EQ(token.k_scale_offset, 640);
  EXPECT_EQ(token.v_scale_offset, 704);
  EXPECT_EQ(token.block_bytes, 768);
  EXPECT_EQ(make_kv_layout(desc_of(TSR_KV_I8_CHANNEL)).block_bytes, 640);
}

std::string error_of(const tsr_kv_desc& desc) {
  try {
    make_kv_layout(desc);
  } catch (const sdk::Error& error) {
    return error.what();
  }
  return "no error";
}

TEST(KvLayout, RefusesPoolsThatMakeNoSense) {
  EXPECT_EQ(error_of(desc_of(7)), "kv pool: unknown format 7");
  tsr_kv_desc desc = desc_of(TSR_KV_F32);
  desc.block_size = 0;
  EXPECT_EQ(error_of(desc), "kv pool: block_size is 0");
  constexpr int64_t kHuge = int64_t{1} << 31;
  EXPECT_EQ(error_of(kv_desc(TSR_KV_F32, kHuge, kHuge, kHuge, kHuge)),
            "kv pool: num_kv_heads=2147483648 head_dim=2147483648 "
            "block_size=2147483648 num_blocks=2147483648 is too large");
}

TEST(KvCopy, CopiesWholeBlocksAndNothingElse) {
  const KvLayout layout = make_kv_layout(desc_of(TSR_KV_I8_TOKEN));
  const auto block = static_cast<size_t>(layout.block_bytes);
  std::vector<std::byte> src(4 * block);
  for (size_t i = 0; i < src.size(); ++i)
    src[i] = static_cast<std::byte>(i * 7);
  std::vector<std::byte> dst(4 * block);
  std::vector<std::byte> expected = dst;
  std::memcpy(&expected[0 * block], &src[3 * block], block);
  std::memcpy(&expected[2 * block], &src[1 * block], block);
  const tsr_block_pair pairs[] = {{3, 0}, {1, 2}};
  kv_copy(layout, {src.data(), 4}, {dst.data(), 4}, pairs, 2);
  EXPECT_EQ(dst, expected);

  const tsr_block_pair same[] = {{1, 1}, {1, 0}};
  kv_copy(layout, {src.data(), 4}, {src.data(), 4}, same, 2);
  EXPECT_EQ(std::memcmp(&src[0], &src[block], block), 0);
}

TEST(KvCopy, RefusesBlocksOutsideThePoolsBeforeItCopies) {
  const KvLayout layout = make_kv_layout(desc_of(TSR_KV_F16));
  const auto block = static_cast<size_t>(layout.block_bytes);
  std::vector<std::byte> src(2 * block, std::byte{1});
  std::vector<std::byte> dst(2 * block);
  const std::vector<std::byte> before = dst;
  const tsr_block_pair pairs[] = {{0, 0}, {0, 2}};
  try {
    kv_copy(layout, {src.data(), 2}, {dst.data(), 2}, pairs, 2);
    FAIL() << "not refused";
  } catch (const sdk::Error& error) {
    EXPECT_STREQ(error.what(),
                 "kv copy: destination block 2 is not in the pool of 2");
  }
  EXPECT_EQ(dst, before);
}

}  // namespace
}  // namespace tessera::cpu
