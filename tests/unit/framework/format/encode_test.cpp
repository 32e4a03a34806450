// SPDX-License-Identifier: Apache-2.0

#include "framework/format/encode.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <numeric>
#include <random>
#include <vector>

#include "framework/format/element.hpp"
#include "framework/format/small_float.hpp"
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

// S * (code - Z) for the formats with one scale.
double decoded(const WeightData& weight, uint32_t n, uint32_t k) {
  const double zero = weight.find(TSR_PLANE_ZERO_POINT) != nullptr
                          ? element(weight, TSR_PLANE_ZERO_POINT, n, k)
                      : weight.format == TSR_WEIGHT_U8 ? 128.0
                      : weight.format == TSR_WEIGHT_U4 ? 8.0
                                                       : 0.0;
  return element(weight, TSR_PLANE_SCALE, n, k) *
         (element(weight, TSR_PLANE_CODES, n, k) - zero);
}

// Every integer format, symmetric or not, per channel, group (one that leaves a
// short last one) and tensor, with each type of scale.
std::vector<WeightScheme> integer_schemes() {
  std::vector<WeightScheme> schemes;
  for (const uint32_t format :
       {TSR_WEIGHT_I8, TSR_WEIGHT_U8, TSR_WEIGHT_I4, TSR_WEIGHT_U4}) {
    for (const bool symmetric : {true, false}) {
      if (format == TSR_WEIGHT_I4 && !symmetric) continue;
      for (const uint32_t scale_dtype : {TSR_F32, TSR_F16, TSR_BF16}) {
        WeightScheme scheme;
        scheme.format = format;
        scheme.symmetric = symmetric;
        scheme.scale_dtype = scale_dtype;
        schemes.push_back(scheme);
        scheme.group_size = 32;
        schemes.push_back(scheme);
        scheme.group_size = 0;
        scheme.per_tensor = true;
        schemes.push_back(scheme);
      }
    }
  }
  return schemes;
}

class IntegerScheme : public testing::TestWithParam<WeightScheme> {};

// Rounding to the nearest code is off by at most half a step; a rounded zero
// point moves the grid by at most another half, and a scale of 16 bits that was
// rounded down cuts at most max_code * u steps off the ends.
TEST_P(IntegerScheme, RoundTripErrorIsAtMostHalfAStep) {
  const WeightScheme& scheme = GetParam();
  const uint32_t N = 3;
  const uint32_t K = 75;
  const std::vector<float> values = normal_values(size_t{N} * K);
  const auto weight = encode_weight(scheme, N, K, values);
  ASSERT_TRUE(weight.ok()) << weight.status().message();
  ASSERT_TRUE(check_weight(weight->view().desc()).ok());

  const double u = scheme.scale_dtype == TSR_F32   ? 0x1p-24
                   : scheme.scale_dtype == TSR_F16 ? 0x1p-11
                                                   : 0x1p-8;
  const double steps = (scheme.symmetric ? 0.5 : 1.0) + 256 * u;
  for (uint32_t n = 0; n < N; ++n) {
    for (uint32_t k = 0; k < K; ++k) {
      const double scale = element(*weight, TSR_PLANE_SCALE, n, k);
      EXPECT_NEAR(decoded(*weight, n, k), values[size_t{n} * K + k],
                  steps * scale);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(All, IntegerScheme,
                         testing::ValuesIn(integer_schemes()));

TEST(Encode, SymmetricCodesFollowTheNamedRule) {
  const std::vector<float> values = {-127.0f, 0.5f, 1.5f, 127.0f};
  WeightScheme scheme;
  scheme.format = TSR_WEIGHT_I8;
  auto weight = encode_weight(scheme, 1, 4, values);
  ASSERT_TRUE(weight.ok());
  EXPECT_EQ(element(*weight, TSR_PLANE_SCALE, 0, 0), 1.0);
  const double max_code[] = {-127, 0, 2, 127};  // ties to even
  for (uint32_t k = 0; k < 4; ++k) {
    EXPECT_EQ(element(*weight, TSR_PLANE_CODES, 0, k), max_code[k]);
  }

  scheme.scale_rule = ScaleRule::kHalfRange;
  weight = encode_weight(scheme, 1, 2, std::vector<float>{-128.0f, 128.0f});
  ASSERT_TRUE(weight.ok());
  EXPECT_EQ(element(*weight, TSR_PLANE_SCALE, 0, 0), 1.0);
  EXPECT_EQ(element(*weight, TSR_PLANE_CODES, 0, 0), -128.0);
  EXPECT_EQ(element(*weight, TSR_PLANE_CODES, 0, 1), 127.0);
}

TEST(Encode, FourBitsUseTheWholeRangeAroundEight) {
  WeightScheme scheme;
  scheme.format = TSR_WEIGHT_U4;
  const auto weight = encode_weight(
      scheme, 1, 5, std::vector<float>{-7.0f, 7.0f, 0.0f, 2.5f, -3.5f});
  ASSERT_TRUE(weight.ok());
  EXPECT_EQ(weight->find(TSR_PLANE_ZERO_POINT), nullptr);
  const double codes[] = {1, 15, 8, 10, 4};
  for (uint32_t k = 0; k < 5; ++k) {
    EXPECT_EQ(element(*weight, TSR_PLANE_CODES, 0, k), codes[k]);
  }
}

TEST(Encode, AsymmetricRangeIsWidenedToHoldZero) {
  WeightScheme scheme;
  scheme.format = TSR_WEIGHT_U4;
  scheme.symmetric = false;
  const auto weight =
      encode_weight(scheme, 2, 2, std::vector<float>{15, 30, -5, 10});
  ASSERT_TRUE(weight.ok());
  EXPECT_EQ(element(*weight, TSR_PLANE_SCALE, 0, 0), 2.0);
  EXPECT_EQ(element(*weight, TSR_PLANE_ZERO_POINT, 0, 0), 0.0);
  EXPECT_EQ(element(*weight, TSR_PLANE_SCALE, 1, 0), 1.0);
  EXPECT_EQ(element(*weight, TSR_PLANE_ZERO_POINT, 1, 0), 5.0);
  EXPECT_EQ(element(*weight, TSR_PLANE_CODES, 1, 0), 0.0);
  EXPECT_EQ(element(*weight, TSR_PLANE_CODES, 1, 1), 15.0);
}

TEST(Encode, ZerosAndVanishingValuesDecodeToExactZeros) {
  for (const float value : {0.0f, -0.0f, 1e-38f, -1e-45f}) {
    for (WeightScheme scheme : integer_schemes()) {
      const auto weight =
          encode_weight(scheme, 2, 40, std::vector<float>(80, value));
      ASSERT_TRUE(weight.ok());
      for (uint32_t k = 0; k < 40; ++k) {
        EXPECT_EQ(decoded(*weight, 1, k), 0.0);
      }
    }
    for (const uint32_t format :
         {TSR_WEIGHT_F8E4M3, TSR_WEIGHT_F8E5M2, TSR_WEIGHT_F4E2M1}) {
      const auto weight = encode_weight({.format = format}, 2, 40,
                                        std::vector<float>(80, value));
      ASSERT_TRUE(weight.ok());
      EXPECT_EQ(decoded(*weight, 1, 7), 0.0);
    }
  }
}

TEST(Encode, DenseFormatsRoundToNearest) {
  const std::vector<float> values = normal_values(70);
  for (const uint32_t format :
       {TSR_WEIGHT_F32, TSR_WEIGHT_F16, TSR_WEIGHT_BF16}) {
    const auto weight = encode_weight({.format = format}, 2, 35, values);
    ASSERT_TRUE(weight.ok());
    const double u = format == TSR_WEIGHT_F32   ? 0.0
                     : format == TSR_WEIGHT_F16 ? 0x1p-11
                                                : 0x1p-8;
    for (uint32_t k = 0; k < 35; ++k) {
      const double value = values[35 + k];
      EXPECT_NEAR(element(*weight, TSR_PLANE_CODES, 1, k), value,
                  u * std::fabs(value));
    }
  }
}

// Half of the widest spacing of codes, relative to the scale: 16 of 448 for
// E4M3, 4096 of 57344 for E5M2, 1 of 6 for E2M1.
TEST(Encode, FloatCodesAreTheNearest) {
  const std::vector<float> values = normal_values(150);
  const std::pair<uint32_t, double> cases[] = {{TSR_WEIGHT_F8E4M3, 16.0},
                                               {TSR_WEIGHT_F8E5M2, 4096.0},
                                               {TSR_WEIGHT_F4E2M1, 1.0}};
  for (const auto& [format, half_spacing] : cases) {
    const auto weight =
        encode_weight({.format = format, .group_size = 32}, 2, 75, values);
    ASSERT_TRUE(weight.ok());
    for (uint32_t k = 0; k < 75; ++k) {
      EXPECT_NEAR(decoded(*weight, 1, k), values[75 + k],
                  half_spacing * element(*weight, TSR_PLANE_SCALE, 1, k));
    }
  }
}

TEST(Encode, Mxfp4TakesTheOcpExponentAndTiesToEven) {
  std::vector<float> values(34, 0.0f);
  values[0] = 6.0f;
  values[1] = 2.5f;   // a tie of 2 and 3: code 4, which is even
  values[2] = -3.5f;  // a tie of 3 and 4: code 6
  values[32] = 7.9f;  // floor(log2) is 2 here too
  values[33] = 0.25f;
  const auto weight =
      encode_weight({.format = TSR_WEIGHT_MXFP4}, 1, 34, values);
  ASSERT_TRUE(weight.ok());
  EXPECT_EQ(element(*weight, TSR_PLANE_SCALE, 0, 0), 1.0);
  EXPECT_EQ(element(*weight, TSR_PLANE_SCALE, 0, 32), 1.0);
  const std::pair<uint32_t, double> codes[] = {{0, 6.0}, {1, 2.0},  {2, -4.0},
                                               {3, 0.0}, {32, 6.0}, {33, 0.0}};
  for (const auto& [k, value] : codes) {
    EXPECT_EQ(element(*weight, TSR_PLANE_CODES, 0, k), value) << k;
  }
  const auto zeros = encode_weight({.format = TSR_WEIGHT_MXFP4}, 1, 32,
                                   std::vector<float>(32, 0.0f));
  ASSERT_TRUE(zeros.ok());
  EXPECT_EQ(element(*zeros, TSR_PLANE_SCALE, 0, 0), 0x1p-127);
}

// A scale is an E4M3 (off by 2^-4 at most), a code an E2M1 whose widest half
// spacing is 1 of 6.
TEST(Encode, Nvfp4HasOneScaleOverTheTensorAndOnePerSixteen) {
  std::vector<float> values = normal_values(80);
  values[3] = -10.0f;
  const auto weight =
      encode_weight({.format = TSR_WEIGHT_NVFP4}, 2, 40, values);
  ASSERT_TRUE(weight.ok()) << weight.status().message();
  const double scale2 = element(*weight, TSR_PLANE_SCALE2, 0, 0);
  EXPECT_EQ(static_cast<float>(scale2), 10.0f / 2688.0f);
  EXPECT_EQ(element(*weight, TSR_PLANE_SCALE, 0, 0), 448.0);
  for (uint32_t n = 0; n < 2; ++n) {
    for (uint32_t k = 0; k < 40; ++k) {
      const double scale = scale2 * element(*weight, TSR_PLANE_SCALE, n, k);
      EXPECT_NEAR(scale * element(*weight, TSR_PLANE_CODES, n, k),
                  values[n * 40 + k], scale * (1.0 + 6.0 * 0x1p-4));
    }
  }
}

TEST(Encode, GgufRowsAreTheirBlocks) {
  const std::vector<float> values = normal_values(2 * 64);
  const auto weight = encode_weight({.format = TSR_WEIGHT_Q8_0}, 2, 64, values);
  ASSERT_TRUE(weight.ok());
  EXPECT_EQ(weight->bytes(), 4u * 34);
  EXPECT_TRUE(check_weight(weight->view().desc()).ok());
}

TEST(Encode, ReadsRowsOnceOrTwiceInOrder) {
  std::vector<uint32_t> seen;
  const RowSource rows = [&](uint32_t n, std::span<float> out_row) -> Status {
    seen.push_back(n);
    std::fill(out_row.begin(), out_row.end(), 1.0f);
    return {};
  };
  ASSERT_TRUE(encode_rows({.format = TSR_WEIGHT_I8}, 2, 4, rows).ok());
  EXPECT_EQ(seen, (std::vector<uint32_t>{0, 1}));
  seen.clear();
  ASSERT_TRUE(
      encode_rows({.format = TSR_WEIGHT_I8, .per_tensor = true}, 2, 4, rows)
          .ok());
  EXPECT_EQ(seen, (std::vector<uint32_t>{0, 1, 0, 1}));
}

TEST(Encode, NamesTheRowThatIsNotFinite) {
  std::vector<float> values(12, 1.0f);
  values[9] = std::numeric_limits<float>::quiet_NaN();
  auto weight = encode_weight({.format = TSR_WEIGHT_I8}, 3, 4, values);
  ASSERT_FALSE(weight.ok());
  EXPECT_EQ(weight.status().message(), "encode i8: row 2: column 1 is NaN");

  values[9] = std::numeric_limits<float>::infinity();
  weight = encode_weight({.format = TSR_WEIGHT_NVFP4}, 3, 4, values);
  ASSERT_FALSE(weight.ok());
  EXPECT_EQ(weight.status().message(),
            "encode nvfp4: row 2: column 1 is infinite");
}

TEST(Encode, NamesTheRowThatDoesNotFit) {
  std::vector<float> values(64, 1.0f);
  values[40] = 1e30f;
  const std::pair<WeightScheme, std::string> cases[] = {
      {{.format = TSR_WEIGHT_F16}, "encode f16: row 1: column 8"},
      {{.format = TSR_WEIGHT_I8, .scale_dtype = TSR_F16},
       "encode i8: row 1: a scale does not fit f16"},
      {{.format = TSR_WEIGHT_Q4_1}, "encode q4_1: row 1: a scale"},
      {{.format = TSR_WEIGHT_Q8_0}, "encode q8_0: row 1: a scale"},
  };
  for (const auto& [scheme, message] : cases) {
    const auto weight = encode_weight(scheme, 2, 32, values);
    ASSERT_FALSE(weight.ok());
    EXPECT_THAT(weight.status().message(), HasSubstr(message));
  }
}

TEST(Encode, RefusesSchemesThatDoNotExist) {
  const std::vector<float> values(80, 1.0f);
  const std::pair<WeightScheme, std::string> cases[] = {
      {{.format = TSR_WEIGHT_I4, .symmetric = false}, "no zero point"},
      {{.format = TSR_WEIGHT_F8E4M3, .symmetric = false}, "no zero point"},
      {{.format = TSR_WEIGHT_I8, .group_size = 8, .per_tensor = true},
       "group_size=8"},
      {{.format = TSR_WEIGHT_I8, .scale_dtype = TSR_I8}, "scales of i8"},
      {{.format = TSR_WEIGHT_Q4_0}, "K=40 is not a multiple"},
      {{.format = TSR_WEIGHT_Q2_K}, "no encoder"},
      {{.format = 77}, "encode weight format 77: no encoder"},
  };
  for (const auto& [scheme, message] : cases) {
    const auto weight = encode_weight(scheme, 2, 40, values);
    ASSERT_FALSE(weight.ok());
    EXPECT_THAT(weight.status().message(), HasSubstr(message));
  }
  EXPECT_FALSE(encode_weight({}, 2, 41, values).ok());
  EXPECT_FALSE(encode_weight({}, 0, 40, {}).ok());
}

TEST(Encode, ReturnsWhatTheSourceReturns) {
  const auto weight =
      encode_rows({}, 1, 1, [](uint32_t, std::span<float>) -> Status {
        return Status(TSR_DATA_LOSS, "gone");
      });
  ASSERT_FALSE(weight.ok());
  EXPECT_EQ(weight.status().code(), TSR_DATA_LOSS);
  EXPECT_EQ(weight.status().message(), "encode f32: gone");
}

}  // namespace
}  // namespace tessera::format
