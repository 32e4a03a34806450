// SPDX-License-Identifier: Apache-2.0
//
// Against vectors made by ggml's own reference quantizers.

#include "framework/format/gguf/gguf_block.hpp"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "tessera/types.h"
#include "tests/unit/framework/format/golden_vectors.hpp"

namespace tessera::format {
namespace {

struct GoldenType {
  uint32_t format;
  std::string name;
  // On 4096 values of N(0, 1), dB, of ggml's reference quantizers.
  double sqnr;
};

const GoldenType kTypes[] = {
    {TSR_WEIGHT_Q4_0, "q4_0", 21.14},     {TSR_WEIGHT_Q4_1, "q4_1", 22.05},
    {TSR_WEIGHT_Q5_0, "q5_0", 27.17},     {TSR_WEIGHT_Q5_1, "q5_1", 28.33},
    {TSR_WEIGHT_Q8_0, "q8_0", 45.20},     {TSR_WEIGHT_Q2_K, "q2_K", 10.66},
    {TSR_WEIGHT_Q3_K, "q3_K", 16.43},     {TSR_WEIGHT_Q4_K, "q4_K", 22.78},
    {TSR_WEIGHT_Q5_K, "q5_K", 28.81},     {TSR_WEIGHT_Q6_K, "q6_K", 34.94},
    {TSR_WEIGHT_IQ4_NL, "iq4_nl", 21.94},
};

std::vector<GoldenType> types_with_encoder() {
  std::vector<GoldenType> types;
  for (const GoldenType& type : kTypes) {
    if (find_gguf_block(type.format)->has_encoder) types.push_back(type);
  }
  return types;
}

class GgufGolden : public testing::TestWithParam<GoldenType> {
 protected:
  void SetUp() override {
    block_ = find_gguf_block(GetParam().format);
    ASSERT_NE(block_, nullptr);
    input_ = read_golden_f32("input.f32");
    blocks_ = read_golden(GetParam().name + ".blocks.bin");
    ASSERT_EQ(input_.size(), 8192u);
    ASSERT_EQ(blocks_.size() / block_->bytes * block_->values, input_.size());
  }

  std::vector<double> decode() const {
    std::vector<double> values(input_.size());
    for (size_t i = 0; i < values.size(); i += block_->values) {
      decode_gguf_block(block_->format,
                        &blocks_[i / block_->values * block_->bytes],
                        &values[i]);
    }
    return values;
  }

  const GgufBlock* block_ = nullptr;
  std::vector<float> input_;
  std::vector<std::byte> blocks_;
};

TEST_P(GgufGolden, DecodesToTheReferenceBitForBit) {
  const std::vector<float> dequant =
      read_golden_f32(GetParam().name + ".dequant.f32");
  const std::vector<double> values = decode();
  ASSERT_EQ(dequant.size(), 4096u);
  for (size_t i = 0; i < dequant.size(); ++i) {
    ASSERT_EQ(std::bit_cast<uint32_t>(static_cast<float>(values[i])),
              std::bit_cast<uint32_t>(dequant[i]))
        << i;
  }
}

class GgufGoldenEncoder : public GgufGolden {};

TEST_P(GgufGoldenEncoder, MakesTheReferenceBitForBit) {
  std::vector<std::byte> encoded(block_->bytes);
  for (size_t i = 0; i < input_.size() / block_->values; ++i) {
    encode_gguf_block(block_->format, &input_[i * block_->values], nullptr,
                      encoded.data());
    ASSERT_EQ(
        std::memcmp(encoded.data(), &blocks_[i * block_->bytes], block_->bytes),
        0)
        << "block " << i;
  }
}

// Values 2048 .. 6143 are N(0, 1).
TEST_P(GgufGolden, HasThePublishedSignalToNoiseRatio) {
  const std::vector<double> values = decode();
  double signal = 0.0;
  double noise = 0.0;
  for (size_t i = 2048; i < 6144; ++i) {
    signal += double{input_[i]} * input_[i];
    noise += (values[i] - input_[i]) * (values[i] - input_[i]);
  }
  EXPECT_NEAR(10.0 * std::log10(signal / noise), GetParam().sqnr, 0.005);
}

INSTANTIATE_TEST_SUITE_P(All, GgufGolden, testing::ValuesIn(kTypes),
                         [](const auto& type) { return type.param.name; });
INSTANTIATE_TEST_SUITE_P(All, GgufGoldenEncoder,
                         testing::ValuesIn(types_with_encoder()),
                         [](const auto& type) { return type.param.name; });

TEST(GgufBlock, TinyValuesDoNotOverflowTheirInverse) {
  std::vector<float> x(256, 1e-44f);
  x[0] = -2e-44f;
  std::byte block[210] = {};
  double values[256];
  for (const GoldenType& type : types_with_encoder()) {
    const GgufBlock* shape = find_gguf_block(type.format);
    encode_gguf_block(type.format, x.data(), nullptr, block);
    decode_gguf_block(type.format, block, values);
    for (uint32_t i = 0; i < shape->values; ++i) {
      EXPECT_EQ(values[i], 0.0) << type.name;
    }
  }
}

class GgufImportance : public testing::TestWithParam<GoldenType> {
 protected:
  void SetUp() override { block_ = find_gguf_block(GetParam().format); }

  // Of all blocks together, each value weighted.
  double weighted_error(const std::vector<float>& x,
                        const std::vector<float>& weights,
                        const float* importance) const {
    std::vector<std::byte> block(block_->bytes);
    std::vector<double> values(block_->values);
    double error = 0.0;
    for (size_t i = 0; i < x.size(); i += block_->values) {
      encode_gguf_block(block_->format, &x[i],
                        importance == nullptr ? nullptr : importance + i,
                        block.data());
      decode_gguf_block(block_->format, block.data(), values.data());
      for (size_t j = 0; j < values.size(); ++j) {
        error +=
            weights[i + j] * (values[j] - x[i + j]) * (values[j] - x[i + j]);
      }
    }
    return error;
  }

  const GgufBlock* block_ = nullptr;
};

TEST_P(GgufImportance, LowersTheWeightedErrorOverManyBlocks) {
  std::mt19937 rng(42);
  std::normal_distribution<float> normal;
  std::vector<float> x(64 * 256);
  std::vector<float> importance(x.size());
  for (float& value : x) value = normal(rng);
  for (float& value : importance) value = std::exp(2.0f * normal(rng));
  const double plain = weighted_error(x, importance, nullptr);
  const double weighted = weighted_error(x, importance, importance.data());
  if (GetParam().format == TSR_WEIGHT_Q8_0) {  // has no choice
    EXPECT_EQ(weighted, plain);
  } else {
    EXPECT_LT(weighted, 0.95 * plain);
  }
}

TEST_P(GgufImportance, OfZeroEverywhereIsNone) {
  std::vector<float> x(256);
  std::mt19937 rng(42);
  std::normal_distribution<float> normal;
  for (float& value : x) value = normal(rng);
  const std::vector<float> zeros(256, 0.0f);
  std::vector<std::byte> plain(block_->bytes);
  std::vector<std::byte> weighted(block_->bytes);
  encode_gguf_block(block_->format, x.data(), nullptr, plain.data());
  encode_gguf_block(block_->format, x.data(), zeros.data(), weighted.data());
  EXPECT_EQ(plain, weighted);
}

INSTANTIATE_TEST_SUITE_P(All, GgufImportance,
                         testing::ValuesIn(types_with_encoder()),
                         [](const auto& type) { return type.param.name; });

TEST(GgufBlock, OtherFormatsHaveNone) {
  EXPECT_EQ(find_gguf_block(TSR_WEIGHT_F32), nullptr);
  EXPECT_EQ(find_gguf_block(TSR_WEIGHT_NVFP4), nullptr);
  EXPECT_EQ(find_gguf_block(99), nullptr);
}

}  // namespace
}  // namespace tessera::format
