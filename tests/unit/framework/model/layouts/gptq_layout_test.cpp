// SPDX-License-Identifier: Apache-2.0
//
// GPTQ and AWQ words, packed here from the formats' descriptions, decode to
// what was packed.

#include "framework/model/layouts/gptq_layout.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <random>

#include "tests/unit/framework/model/layouts/layout_folder.hpp"

namespace tessera {
namespace {

using ::testing::HasSubstr;

constexpr uint32_t kN = 16;
constexpr uint32_t kK = 32;
constexpr uint32_t kGroupSize = 8;
constexpr uint32_t kGroups = kK / kGroupSize;

// Codes, zero points and scales of a linear before they are packed.
struct Linear {
  uint32_t bits = 4;
  bool symmetric = false;
  std::vector<uint32_t> codes;    // [N, K]
  std::vector<uint32_t> zeros;    // [N, groups]
  std::vector<float> scales;      // [N, groups]
  std::vector<int32_t> group_of;  // [K]

  float value(uint32_t n, uint32_t k) const {
    const uint32_t at = n * kGroups + static_cast<uint32_t>(group_of[k]);
    return scales[at] * static_cast<float>(static_cast<int>(codes[n * kK + k]) -
                                           static_cast<int>(zeros[at]));
  }

  std::vector<float> values() const {
    std::vector<float> all;
    for (uint32_t n = 0; n < kN; ++n) {
      for (uint32_t k = 0; k < kK; ++k) all.push_back(value(n, k));
    }
    return all;
  }
};

Linear random_linear(uint32_t bits, bool symmetric, bool act_order) {
  std::mt19937 rng(42);
  const uint32_t top = (1U << bits) - 1;
  std::uniform_int_distribution<uint32_t> code(0, top);
  std::uniform_real_distribution<float> scale(0.01f, 0.1f);
  Linear linear{bits, symmetric, {}, {}, {}, {}};
  for (uint32_t i = 0; i < kN * kK; ++i) linear.codes.push_back(code(rng));
  for (uint32_t i = 0; i < kN * kGroups; ++i) {
    linear.zeros.push_back(symmetric ? (top + 1) / 2 : code(rng));
    linear.scales.push_back(scale(rng));
  }
  for (uint32_t k = 0; k < kK; ++k) {
    linear.group_of.push_back(static_cast<int32_t>(k / kGroupSize));
  }
  if (act_order)
    std::shuffle(linear.group_of.begin(), linear.group_of.end(), rng);
  return linear;
}

std::vector<float> transposed_scales(const Linear& linear) {
  std::vector<float> result;
  for (uint32_t group = 0; group < kGroups; ++group) {
    for (uint32_t n = 0; n < kN; ++n) {
      result.push_back(linear.scales[n * kGroups + group]);
    }
  }
  return result;
}

LayoutFolder gptq_folder(const Linear& linear, bool version2) {
  const uint32_t per_word = 32 / linear.bits;
  const uint32_t mask = (1U << linear.bits) - 1;
  LayoutFolder folder;
  folder.config["quantization_config"] = {
      {"quant_method", "gptq"},
      {"bits", linear.bits},
      {"group_size", kGroupSize},
      {"sym", linear.symmetric},
      {"checkpoint_format", version2 ? "gptq_v2" : "gptq"}};
  std::vector<uint32_t> words(size_t{kK / per_word} * kN);
  for (uint32_t k = 0; k < kK; ++k) {
    for (uint32_t n = 0; n < kN; ++n) {
      words[k / per_word * kN + n] |= linear.codes[n * kK + k]
                                      << (k % per_word * linear.bits);
    }
  }
  folder.put("qweight", TSR_I32, {kK / per_word, kN}, words);
  std::vector<uint32_t> zeros(size_t{kGroups} * kN / per_word);
  for (uint32_t group = 0; group < kGroups; ++group) {
    for (uint32_t n = 0; n < kN; ++n) {
      const uint32_t zero = linear.zeros[n * kGroups + group];
      zeros[(group * kN + n) / per_word] |=
          ((version2 ? zero : zero - 1) & mask) << (n % per_word * linear.bits);
    }
  }
  folder.put("qzeros", TSR_I32, {kGroups, kN / per_word}, zeros);
  folder.put("scales", TSR_F32, {kGroups, kN}, transposed_scales(linear));
  folder.put("g_idx", TSR_I32, {kK}, linear.group_of);
  return folder;
}

LayoutFolder awq_folder(const Linear& linear) {
  constexpr uint32_t kOrder[] = {0, 2, 4, 6, 1, 3, 5, 7};
  LayoutFolder folder;
  folder.config["quantization_config"] = {{"quant_method", "awq"},
                                          {"bits", 4},
                                          {"group_size", kGroupSize},
                                          {"zero_point", true},
                                          {"version", "gemm"}};
  std::vector<uint32_t> words;
  for (uint32_t k = 0; k < kK; ++k) {
    for (uint32_t begin = 0; begin < kN; begin += 8) {
      uint32_t packed = 0;
      for (uint32_t i = 0; i < 8; ++i) {
        packed |= linear.codes[(begin + kOrder[i]) * kK + k] << (4 * i);
      }
      words.push_back(packed);
    }
  }
  folder.put("qweight", TSR_I32, {kK, kN / 8}, words);
  words.clear();
  for (uint32_t group = 0; group < kGroups; ++group) {
    for (uint32_t begin = 0; begin < kN; begin += 8) {
      uint32_t packed = 0;
      for (uint32_t i = 0; i < 8; ++i) {
        packed |= linear.zeros[(begin + kOrder[i]) * kGroups + group]
                  << (4 * i);
      }
      words.push_back(packed);
    }
  }
  folder.put("qzeros", TSR_I32, {kGroups, kN / 8}, words);
  folder.put("scales", TSR_F32, {kGroups, kN}, transposed_scales(linear));
  return folder;
}

TEST(GptqLayout, DecodesWhatWasPacked) {
  for (const uint32_t bits : {4U, 8U}) {
    for (const bool symmetric : {false, true}) {
      for (const bool act_order : {false, true}) {
        for (const bool version2 : {false, true}) {
          const Linear linear = random_linear(bits, symmetric, act_order);
          const auto values = gptq_folder(linear, version2).read();
          ASSERT_TRUE(values.ok()) << values.status().message();
          EXPECT_EQ(*values, linear.values())
              << bits << " bits, symmetric " << symmetric << ", act-order "
              << act_order << ", version 2 " << version2;
        }
      }
    }
  }
}

TEST(GptqLayout, WithoutGroupIndicesHasThemInOrder) {
  const Linear linear = random_linear(4, false, false);
  LayoutFolder folder = gptq_folder(linear, true);
  folder.tensors.erase("g_idx");
  EXPECT_EQ(*folder.read(), linear.values());
}

TEST(GptqLayout, ChecksEveryTensor) {
  expect_each_is_checked(gptq_folder(random_linear(4, false, false), true),
                         {"qzeros", "scales"});
}

TEST(GptqLayout, RefusesGroupsOfOtherSizes) {
  Linear linear = random_linear(4, false, false);
  linear.group_of[0] = 1;
  EXPECT_THAT(gptq_folder(linear, true).error(), HasSubstr("g_idx"));
  for (const int32_t group : {-1, 4, INT32_MAX, INT32_MIN}) {
    linear.group_of[0] = group;
    LayoutFolder folder = gptq_folder(random_linear(4, false, false), true);
    folder.put("g_idx", TSR_I32, {kK}, linear.group_of);
    EXPECT_THAT(folder.error(), HasSubstr("g_idx")) << group;
  }
}

TEST(GptqLayout, RefusesAZeroPointThatASymmetricWeightHasNot) {
  Linear linear = random_linear(4, true, false);
  linear.zeros[3] = 7;
  EXPECT_THAT(gptq_folder(linear, true).error(), HasSubstr("zero point 7"));
}

TEST(GptqLayout, RefusesWhatItDoesNotKnow) {
  const LayoutFolder whole = gptq_folder(random_linear(4, false, false), true);
  const auto error_with = [&whole](const char* key, nlohmann::json value) {
    LayoutFolder folder = whole;
    folder.config["quantization_config"][key] = std::move(value);
    return folder.error();
  };
  EXPECT_THAT(error_with("bits", 3), HasSubstr("bits=3"));
  EXPECT_THAT(error_with("checkpoint_format", "marlin"), HasSubstr("marlin"));
  EXPECT_THAT(error_with("quant_method", "hqq"), HasSubstr("hqq"));
  EXPECT_THAT(error_with("group_size", "big"), HasSubstr("group_size"));
  EXPECT_NE(error_with("group_size", 16), "");
}

TEST(AwqLayout, DecodesWhatWasPacked) {
  const Linear linear = random_linear(4, false, false);
  const auto values = awq_folder(linear).read();
  ASSERT_TRUE(values.ok()) << values.status().message();
  EXPECT_EQ(*values, linear.values());
}

TEST(AwqLayout, ChecksEveryTensor) {
  const LayoutFolder whole = awq_folder(random_linear(4, false, false));
  expect_each_is_checked(whole, {"qzeros", "scales"});
  LayoutFolder folder = whole;
  folder.config["quantization_config"]["version"] = "gemv";
  EXPECT_THAT(folder.error(), HasSubstr("gemv"));
}

}  // namespace
}  // namespace tessera
