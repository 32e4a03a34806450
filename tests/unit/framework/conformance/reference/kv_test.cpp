// SPDX-License-Identifier: Apache-2.0

#include "framework/conformance/reference/attention/kv.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "framework/conformance/reference/attention/rope.hpp"
#include "framework/format/element.hpp"
#include "framework/tensor/half.hpp"
#include "tests/unit/framework/conformance/reference/random_values.hpp"

namespace tessera::reference {
namespace {

using testing::HasSubstr;

tsr_kv_desc kv_desc(uint32_t format, uint32_t heads, uint32_t head_dim,
                    uint32_t block_size, uint32_t num_blocks) {
  tsr_kv_desc desc{};
  desc.struct_size = sizeof(desc);
  desc.format = format;
  desc.num_kv_heads = heads;
  desc.head_dim = head_dim;
  desc.block_size = block_size;
  desc.num_blocks = num_blocks;
  return desc;
}

std::vector<double> read_head(const KvPool& pool, KvPart part, uint64_t slot,
                              uint32_t head, const float* scale = nullptr) {
  std::vector<double> row(pool.desc().head_dim);
  pool.read(part, slot, head, scale, row);
  return row;
}

// One token of two heads of two, at a slot.
KvAppend one_token(const float* k, const float* v, const int32_t* slot) {
  KvAppend append;
  append.num_tokens = 1;
  append.k = k;
  append.v = v;
  append.slot_mapping = slot;
  return append;
}

const float kKeys[] = {1.0f, -0.3f, 3.0f, 1e-3f};
const float kValues[] = {0.1f, 2.0f, -5.0f, 7.0f};

// The bytes where types.h draws them: block 1, offset 2 of 3.
TEST(KvAppend, StoresCodesWhereTheCanonicalBlockHasThem) {
  const tsr_kv_desc desc = kv_desc(TSR_KV_F32, 2, 2, 3, 2);
  std::vector<std::byte> memory(2 * 128);
  const auto pool = KvPool::open(desc, memory);
  ASSERT_TRUE(pool.ok());
  const int32_t slot = 5;
  ASSERT_TRUE(kv_append(one_token(kKeys, kValues, &slot), *pool).ok());
  const std::byte* block = memory.data() + 128;
  for (size_t head = 0; head < 2; ++head) {
    for (size_t i = 0; i < 2; ++i) {
      const size_t element = (head * 3 + 2) * 2 + i;
      EXPECT_EQ(format::load_element<float>(block, element),
                kKeys[head * 2 + i]);
      EXPECT_EQ(format::load_element<float>(block + 64, element),
                kValues[head * 2 + i]);
    }
  }
  EXPECT_EQ(read_head(*pool, KvPart::kKey, 4, 0),
            (std::vector<double>{0.0, 0.0}));
}

TEST(KvAppend, RoundsToTheHalfFormats) {
  for (const uint32_t format : {TSR_KV_F16, TSR_KV_BF16}) {
    std::vector<std::byte> memory(128);
    const auto pool = KvPool::open(kv_desc(format, 2, 2, 1, 1), memory);
    ASSERT_TRUE(pool.ok());
    const int32_t slot = 0;
    ASSERT_TRUE(kv_append(one_token(kKeys, kValues, &slot), *pool).ok());
    const float x = kKeys[1];
    EXPECT_EQ(read_head(*pool, KvPart::kKey, 0, 0)[1],
              format == TSR_KV_F16 ? f16_to_f32(f32_to_f16(x))
                                   : bf16_to_f32(f32_to_bf16(x)));
  }
}

TEST(KvAppend, TokenScalesAreThoseOfDynamicCodes) {
  const tsr_kv_desc desc = kv_desc(TSR_KV_I8_TOKEN, 2, 2, 3, 1);
  std::vector<std::byte> memory(4 * 64);
  const auto pool = KvPool::open(desc, memory);
  ASSERT_TRUE(pool.ok());
  const int32_t slot = 1;
  ASSERT_TRUE(kv_append(one_token(kKeys, kValues, &slot), *pool).ok());
  // K scales after both code parts, [head, offset].
  const float scale = format::load_element<float>(memory.data() + 128, 1);
  EXPECT_EQ(scale, 1.0f * (1.0f / 127.0f));
  EXPECT_EQ(format::load_element<float>(memory.data() + 192, 3 + 1),
            7.0f * (1.0f / 127.0f));
  const auto row = read_head(*pool, KvPart::kKey, 1, 0);
  EXPECT_EQ(row[0], 127.0 * scale);
  EXPECT_EQ(row[1], -38.0 * scale);  // -0.3 * 127 = -38.1
}

TEST(KvAppend, StaticScalesSaturate) {
  const float inv[] = {10.0f, 20.0f, 30.0f, 40.0f, 50.0f, 60.0f, 70.0f, 80.0f};
  const float scale[] = {1.0f, 2.0f, 3.0f, 4.0f, 5.0f, 6.0f, 7.0f, 8.0f};
  const int32_t slot = 0;
  std::vector<std::byte> memory(128);

  const auto by_head =
      KvPool::open(kv_desc(TSR_KV_I8_HEAD, 2, 2, 1, 1), memory);
  ASSERT_TRUE(by_head.ok());
  KvAppend append = one_token(kKeys, kValues, &slot);
  append.kv_inv = inv;
  ASSERT_TRUE(kv_append(append, *by_head).ok());
  EXPECT_EQ(read_head(*by_head, KvPart::kKey, 0, 1, scale),
            (std::vector<double>{60.0 * 2, 0.0}));
  EXPECT_EQ(read_head(*by_head, KvPart::kValue, 0, 1, scale),
            (std::vector<double>{-127.0 * 4, 127.0 * 4}));

  const auto by_channel =
      KvPool::open(kv_desc(TSR_KV_I8_CHANNEL, 2, 2, 1, 1), memory);
  ASSERT_TRUE(by_channel.ok());
  ASSERT_TRUE(kv_append(append, *by_channel).ok());
  EXPECT_EQ(read_head(*by_channel, KvPart::kKey, 0, 1, scale),
            (std::vector<double>{90.0 * 3, 0.0}));
  EXPECT_EQ(read_head(*by_channel, KvPart::kValue, 0, 0, scale),
            (std::vector<double>{5.0 * 5, 120.0 * 6}));
}

// K is rotated in f32 before it is stored, V is not.
TEST(KvAppend, RotatesKeysOnly) {
  std::mt19937 rng(42);
  const std::vector<float> k = normal_values(rng, 3 * 8);
  const std::vector<float> v = normal_values(rng, 3 * 8);
  const std::vector<float> table = normal_values(rng, 10 * 6);
  const int32_t slots[] = {2, -1, 0};
  const int32_t positions[] = {9, 0, 4};
  std::vector<std::byte> memory(3 * 64 * 2);
  const auto pool = KvPool::open(kv_desc(TSR_KV_F32, 1, 8, 3, 1), memory);
  ASSERT_TRUE(pool.ok());
  KvAppend append;
  append.num_tokens = 3;
  append.k = k.data();
  append.v = v.data();
  append.slot_mapping = slots;
  append.positions = positions;
  append.table = table.data();
  append.max_positions = 10;
  append.style = TSR_ROPE_HALF;
  append.rotary_dim = 6;
  ASSERT_TRUE(kv_append(append, *pool).ok());

  std::vector<float> rotated(k.size());
  const Rope rope{3, 1, 8, k.data(), positions, table.data(), 10, TSR_ROPE_HALF,
                  6};
  ASSERT_TRUE(rope_f32(rope, rotated.data()).ok());
  for (size_t i = 0; i < 8; ++i) {
    EXPECT_EQ(read_head(*pool, KvPart::kKey, 2, 0)[i], rotated[i]);
    EXPECT_EQ(read_head(*pool, KvPart::kValue, 2, 0)[i], v[i]);
    EXPECT_EQ(read_head(*pool, KvPart::kKey, 0, 0)[i], rotated[16 + i]);
    EXPECT_EQ(read_head(*pool, KvPart::kKey, 1, 0)[i], 0.0);  // slot -1
  }
}

TEST(KvAppend, RefusesSlotsOutsideThePoolAndMissingScales) {
  std::vector<std::byte> memory(256);
  const auto pool = KvPool::open(kv_desc(TSR_KV_F32, 2, 2, 3, 2), memory);
  ASSERT_TRUE(pool.ok());
  const int32_t slot = 6;
  EXPECT_EQ(kv_append(one_token(kKeys, kValues, &slot), *pool).message(),
            "kv_append: slot 6 of token 0, the pool has 6");
  const auto by_head =
      KvPool::open(kv_desc(TSR_KV_I8_HEAD, 2, 2, 3, 2), memory);
  const int32_t good = 0;
  EXPECT_THAT(kv_append(one_token(kKeys, kValues, &good), *by_head).message(),
              HasSubstr("needs kv_inv"));
}

TEST(KvPool, RefusesMemoryThatIsTooSmall) {
  std::vector<std::byte> memory(255);
  EXPECT_EQ(
      KvPool::open(kv_desc(TSR_KV_F32, 2, 2, 3, 2), memory).status().message(),
      "kv pool: 255 bytes for 2 blocks of 128");
}

}  // namespace
}  // namespace tessera::reference
