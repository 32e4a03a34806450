// SPDX-License-Identifier: Apache-2.0
//
// Named scale rules, two levels of scales, and importance.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <vector>

#include "framework/format/element.hpp"
#include "framework/format/encode.hpp"
#include "framework/format/gguf/gguf_block.hpp"
#include "framework/format/weight_check.hpp"

namespace tessera::format {
namespace {

using testing::HasSubstr;

std::vector<float> normal_values(size_t count) {
  std::mt19937 rng(42);
  std::normal_distribution<float> normal;
  std::vector<float> values(count);
  for (float& value : values) value = normal(rng);
  return values;
}

double element(const WeightData& weight, uint32_t role, uint32_t n,
               uint32_t k) {
  const Plane* plane = weight.find(role);
  return element_value(plane->dtype, plane->row(n / plane->block_n),
                       k / plane->block_k);
}

struct RuleCase {
  std::string name;
  ScaleRule rule;
  uint32_t format;
  double scale;  // of -12 and 6
  double code;   // of -12, zero point taken off
};

const RuleCase kRules[] = {
    {"I8MaxCode", ScaleRule::kMaxCode, TSR_WEIGHT_I8, 12.0 / 127, -127},
    {"U8MaxCode", ScaleRule::kMaxCode, TSR_WEIGHT_U8, 12.0 / 127, -127},
    {"I4MaxCode", ScaleRule::kMaxCode, TSR_WEIGHT_I4, 12.0 / 7, -7},
    {"U4MaxCode", ScaleRule::kMaxCode, TSR_WEIGHT_U4, 12.0 / 7, -7},
    {"I8HalfRange", ScaleRule::kHalfRange, TSR_WEIGHT_I8, 12.0 / 128, -128},
    {"U4HalfRange", ScaleRule::kHalfRange, TSR_WEIGHT_U4, 12.0 / 8, -8},
    // -127.5 and -7.5 are ties, and even codes win.
    {"I8HalfSpan", ScaleRule::kHalfSpan, TSR_WEIGHT_I8, 12.0 / 127.5, -128},
    {"U4HalfSpan", ScaleRule::kHalfSpan, TSR_WEIGHT_U4, 12.0 / 7.5, -8},
    {"I8SignedMax", ScaleRule::kSignedMax, TSR_WEIGHT_I8, 12.0 / 128, -128},
    {"U4SignedMax", ScaleRule::kSignedMax, TSR_WEIGHT_U4, 12.0 / 8, -8},
};

class EncodeScaleRule : public testing::TestWithParam<RuleCase> {};

TEST_P(EncodeScaleRule, DividesByWhatItsNameSays) {
  const RuleCase& test = GetParam();
  WeightScheme scheme;
  scheme.format = test.format;
  scheme.scale_rule = test.rule;
  // Both signs, each in its own row.
  const auto weight =
      encode_weight(scheme, 2, 2, std::vector<float>{-12, 6, 12, -6});
  ASSERT_TRUE(weight.ok());
  const double zero = test.format == TSR_WEIGHT_U8   ? 128
                      : test.format == TSR_WEIGHT_U4 ? 8
                                                     : 0;
  const auto scale = static_cast<double>(static_cast<float>(test.scale));
  EXPECT_EQ(element(*weight, TSR_PLANE_SCALE, 0, 0), scale);
  EXPECT_EQ(element(*weight, TSR_PLANE_CODES, 0, 0) - zero, test.code);
  if (test.rule == ScaleRule::kSignedMax) {
    EXPECT_EQ(element(*weight, TSR_PLANE_SCALE, 1, 0), -scale);
    EXPECT_EQ(element(*weight, TSR_PLANE_CODES, 1, 0) - zero, test.code);
  } else {
    EXPECT_EQ(element(*weight, TSR_PLANE_SCALE, 1, 0), scale);
    const double last = test.format == TSR_WEIGHT_I8 || zero == 128 ? 127 : 7;
    EXPECT_EQ(element(*weight, TSR_PLANE_CODES, 1, 0) - zero, last);
  }
}

INSTANTIATE_TEST_SUITE_P(All, EncodeScaleRule, testing::ValuesIn(kRules),
                         [](const auto& param) { return param.param.name; });

WeightScheme two_level(uint32_t group_size) {
  WeightScheme scheme;
  scheme.format = TSR_WEIGHT_I4;
  scheme.group_size = group_size;
  scheme.two_level = true;
  return scheme;
}

// Every magnitude of group beside a row's largest, both signs, f32 and f16.
TEST(EncodeTwoLevels, NeverLeaveSignedBytes) {
  for (const uint32_t scale_dtype : {TSR_F32, TSR_F16, TSR_BF16}) {
    for (int units = 0; units <= 128; ++units) {
      for (const float sign : {1.0f, -1.0f}) {
        std::vector<float> values = normal_values(16);
        values[0] = 100.0f * sign;
        for (size_t k = 8; k < 16; ++k) {
          values[k] *= static_cast<float>(units) * 0.3f;
        }
        WeightScheme scheme = two_level(8);
        scheme.scale_dtype = scale_dtype;
        const auto weight = encode_weight(scheme, 1, 16, values);
        ASSERT_TRUE(weight.ok());
        ASSERT_TRUE(check_weight(weight->view().desc()).ok());
        for (uint32_t k = 0; k < 16; ++k) {
          const double scale = element(*weight, TSR_PLANE_SCALE, 0, k);
          EXPECT_GE(scale, 1.0);
          EXPECT_LE(std::fabs(scale * element(*weight, TSR_PLANE_CODES, 0, k)),
                    127.0);
        }
      }
    }
  }
}

// The largest value of a row is a code of its own: 18 * 7 units of amax / 126.
TEST(EncodeTwoLevels, HaveTheRowsLargestValueExactly) {
  std::vector<float> values(32, 0.25f);
  values[3] = -63.0f;
  const auto weight = encode_weight(two_level(16), 1, 32, values);
  ASSERT_TRUE(weight.ok());
  EXPECT_EQ(weight->find(TSR_PLANE_SCALE)->dtype, TSR_U8);
  EXPECT_EQ(element(*weight, TSR_PLANE_SCALE2, 0, 0), 0.5);
  EXPECT_EQ(element(*weight, TSR_PLANE_SCALE, 0, 0), 18.0);
  EXPECT_EQ(element(*weight, TSR_PLANE_CODES, 0, 3), -7.0);
  EXPECT_EQ(element(*weight, TSR_PLANE_SCALE, 0, 16), 1.0);
}

double squared_error(const WeightData& weight, const std::vector<float>& x) {
  double error = 0.0;
  for (uint32_t k = 0; k < weight.K; ++k) {
    const double second = weight.find(TSR_PLANE_SCALE2) == nullptr
                              ? 1.0
                              : element(weight, TSR_PLANE_SCALE2, 0, k);
    const double value = element(weight, TSR_PLANE_SCALE, 0, k) *
                         element(weight, TSR_PLANE_CODES, 0, k) * second;
    error += (value - x[k]) * (value - x[k]);
  }
  return error;
}

// Sixteen or so steps of scale instead of a float cost little, and the search
// wins that back.
TEST(EncodeTwoLevels, ErrNoMoreThanGroupsWithFloatScales) {
  const std::vector<float> values = normal_values(4096);
  const auto coarse = encode_weight(two_level(128), 1, 4096, values);
  WeightScheme scheme = two_level(128);
  scheme.two_level = false;
  const auto fine = encode_weight(scheme, 1, 4096, values);
  ASSERT_TRUE(coarse.ok() && fine.ok());
  EXPECT_LT(squared_error(*coarse, values),
            1.05 * squared_error(*fine, values));
}

TEST(EncodeTwoLevels, ZerosAndVanishingRowsDecodeToZeros) {
  for (const uint32_t scale_dtype : {TSR_F32, TSR_F16}) {
    for (const float value : {0.0f, 1e-40f, 1e-9f}) {
      if (scale_dtype == TSR_F32 && value == 1e-9f) continue;
      WeightScheme scheme = two_level(8);
      scheme.scale_dtype = scale_dtype;
      const auto weight =
          encode_weight(scheme, 1, 16, std::vector<float>(16, value));
      ASSERT_TRUE(weight.ok());
      for (uint32_t k = 0; k < 16; ++k) {
        EXPECT_EQ(element(*weight, TSR_PLANE_CODES, 0, k), 0.0);
      }
    }
  }
}

TEST(EncodeTwoLevels, AreOfI4PerRowOnly) {
  WeightScheme scheme = two_level(8);
  scheme.format = TSR_WEIGHT_U4;
  const std::vector<float> values(16, 1.0f);
  EXPECT_THAT(encode_weight(scheme, 1, 16, values).status().message(),
              HasSubstr("two levels"));
  scheme = two_level(0);
  scheme.per_tensor = true;
  EXPECT_THAT(encode_weight(scheme, 1, 16, values).status().message(),
              HasSubstr("two levels"));
}

TEST(EncodeImportance, ReachesEveryBlockOfARow) {
  const std::vector<float> values = normal_values(2 * 512);
  std::vector<float> importance(512);
  for (size_t k = 0; k < 512; ++k) importance[k] = k % 3 == 0 ? 100.0f : 0.1f;
  for (const uint32_t format : {TSR_WEIGHT_Q4_0, TSR_WEIGHT_Q4_K}) {
    const auto weight =
        encode_weight({.format = format}, 2, 512, values, importance);
    ASSERT_TRUE(weight.ok());
    const GgufBlock& block = *find_gguf_block(format);
    std::vector<std::byte> expected(block.bytes);
    for (uint32_t n = 0; n < 2; ++n) {
      for (uint32_t k = 0; k < 512; k += block.values) {
        encode_gguf_block(format, &values[n * 512 + k], &importance[k],
                          expected.data());
        EXPECT_EQ(std::memcmp(
                      weight->planes[0].row(n) + k / block.values * block.bytes,
                      expected.data(), expected.size()),
                  0);
      }
    }
  }
}

TEST(EncodeImportance, ThatMakesNoSenseIsRefused) {
  const std::vector<float> values(32, 1.0f);
  const auto message = [&](const std::vector<float>& importance) {
    return encode_weight({.format = TSR_WEIGHT_Q4_0}, 1, 32, values, importance)
        .status()
        .message();
  };
  EXPECT_EQ(message(std::vector<float>(31, 1.0f)),
            "encode q4_0: importance of 31 columns for K=32");
  std::vector<float> importance(32, 1.0f);
  importance[4] = -1.0f;
  EXPECT_EQ(message(importance),
            "encode q4_0: importance of column 4 is -1.000000");
  importance[4] = std::numeric_limits<float>::infinity();
  EXPECT_EQ(message(importance), "encode q4_0: importance of column 4 is inf");
}

}  // namespace
}  // namespace tessera::format
