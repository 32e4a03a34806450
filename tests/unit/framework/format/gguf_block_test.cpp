// SPDX-License-Identifier: Apache-2.0
//
// Against vectors made by ggml's own reference quantizers.

#include "framework/format/gguf_block.hpp"

#include <gtest/gtest.h>

#include <bit>
#include <cstring>
#include <fstream>
#include <iterator>
#include <limits>
#include <string>
#include <vector>

#include "tessera/types.h"

namespace tessera::format {
namespace {

struct GoldenType {
  uint32_t format;
  std::string name;
};

const GoldenType kTypes[] = {
    {TSR_WEIGHT_Q4_0, "q4_0"}, {TSR_WEIGHT_Q4_1, "q4_1"},
    {TSR_WEIGHT_Q5_0, "q5_0"}, {TSR_WEIGHT_Q5_1, "q5_1"},
    {TSR_WEIGHT_Q8_0, "q8_0"}, {TSR_WEIGHT_Q4_K, "q4_K"},
    {TSR_WEIGHT_Q6_K, "q6_K"},
};

std::vector<char> read_golden(const std::string& name) {
  std::ifstream file(TSR_SOURCE_DIR "/../shared/golden/" + name,
                     std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::vector<float> read_golden_f32(const std::string& name) {
  const std::vector<char> bytes = read_golden(name);
  std::vector<float> values(bytes.size() / sizeof(float));
  std::memcpy(values.data(), bytes.data(), values.size() * sizeof(float));
  return values;
}

class GgufGolden : public testing::TestWithParam<GoldenType> {
 protected:
  void SetUp() override {
    blocks_ = read_golden(GetParam().name + ".blocks.bin");
    dequant_ = read_golden_f32(GetParam().name + ".dequant.f32");
    if (blocks_.empty()) GTEST_SKIP() << "no golden vectors beside the source";
  }

  std::vector<char> blocks_;
  std::vector<float> dequant_;
};

TEST_P(GgufGolden, DecodesToTheReferenceBitForBit) {
  const GgufBlock* block = find_gguf_block(GetParam().format);
  ASSERT_NE(block, nullptr);
  ASSERT_EQ(blocks_.size() / block->bytes * block->values, dequant_.size());
  const auto* bytes = reinterpret_cast<const std::byte*>(blocks_.data());
  std::vector<double> values(block->values);
  for (size_t i = 0; i < dequant_.size(); i += block->values) {
    decode_gguf_block(block->format, bytes + i / block->values * block->bytes,
                      values.data());
    for (size_t j = 0; j < block->values; ++j) {
      ASSERT_EQ(static_cast<float>(values[j]), dequant_[i + j]) << i + j;
    }
  }
}

TEST_P(GgufGolden, EncodesToTheReferenceBitForBit) {
  const GgufBlock* block = find_gguf_block(GetParam().format);
  if (!block->has_encoder) return;  // K-quants are only read
  const std::vector<float> input = read_golden_f32("input.f32");
  ASSERT_EQ(input.size(), dequant_.size());
  std::vector<std::byte> encoded(block->bytes);
  for (size_t i = 0; i < input.size() / block->values; ++i) {
    encode_gguf_block(block->format, &input[i * block->values], encoded.data());
    ASSERT_EQ(
        std::memcmp(encoded.data(), &blocks_[i * block->bytes], block->bytes),
        0)
        << "block " << i;
  }
}

INSTANTIATE_TEST_SUITE_P(All, GgufGolden, testing::ValuesIn(kTypes),
                         [](const auto& type) { return type.param.name; });

TEST(GgufBlock, TinyValuesDoNotOverflowTheirInverse) {
  std::vector<float> x(32, 1e-44f);
  x[0] = -2e-44f;
  std::byte block[34] = {};
  double values[32];
  for (const uint32_t format :
       {TSR_WEIGHT_Q4_0, TSR_WEIGHT_Q4_1, TSR_WEIGHT_Q5_0, TSR_WEIGHT_Q5_1,
        TSR_WEIGHT_Q8_0}) {
    encode_gguf_block(format, x.data(), block);
    decode_gguf_block(format, block, values);
    for (const double value : values) EXPECT_EQ(value, 0.0) << format;
  }
}

TEST(GgufBlock, OtherFormatsHaveNone) {
  EXPECT_EQ(find_gguf_block(TSR_WEIGHT_F32), nullptr);
  EXPECT_EQ(find_gguf_block(99), nullptr);
}

}  // namespace
}  // namespace tessera::format
