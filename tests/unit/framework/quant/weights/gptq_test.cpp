// SPDX-License-Identifier: Apache-2.0
//
// GPTQ against a textbook form in f64, its own error identity, and rounding to
// nearest.

#include "framework/quant/weights/gptq.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include "framework/conformance/reference/linear/weight.hpp"
#include "framework/format/encode.hpp"
#include "framework/host/services/thread_pool.hpp"
#include "tests/unit/framework/quant/random_values.hpp"

namespace tessera::quant {
namespace {

using format::WeightScheme;

Hessian hessian_of(std::span<const float> x, uint32_t K) {
  auto statistics = InputStatistics::create(K, true);
  EXPECT_TRUE(statistics.ok());
  EXPECT_TRUE(statistics->add(x, run_serially()).ok());
  return *std::move(*statistics).take_hessian(run_serially());
}

Hessian identity(uint32_t K) {
  Hessian hessian{K, std::vector<float>(size_t{K} * K, 0.0f)};
  for (size_t k = 0; k < K; ++k) hessian.values[k * (K + 1)] = 1.0f;
  return hessian;
}

// Decoded values in the order of the input features.
std::vector<double> decode(const format::WeightData& weight) {
  auto opened = reference::Weight::open(weight);
  EXPECT_TRUE(opened.ok()) << opened.status().message();
  std::vector<double> values(size_t{weight.N} * weight.K);
  std::vector<double> row(weight.K);
  for (uint32_t n = 0; n < weight.N; ++n) {
    opened->decode_row(n, row);
    for (uint32_t k = 0; k < weight.K; ++k) {
      const auto permutation = opened->permutation();
      const size_t feature =
          permutation.empty() ? k : static_cast<size_t>(permutation[k]);
      values[size_t{n} * weight.K + feature] = row[k];
    }
  }
  return values;
}

// tr(dW H dW^T) with share * mean added to the diagonal.
double weighted_error(const std::vector<float>& w, const std::vector<double>& q,
                      const Hessian& hessian, double share) {
  const uint32_t K = hessian.K;
  double mean = 0.0;
  for (size_t k = 0; k < K; ++k) mean += double{hessian.values[k * (K + 1)]};
  mean /= K;
  double sum = 0.0;
  for (size_t n = 0; n < w.size() / K; ++n) {
    for (uint32_t i = 0; i < K; ++i) {
      const double di = q[n * K + i] - w[n * K + i];
      sum += share * mean * di * di;
      for (uint32_t j = 0; j < K; ++j) {
        sum += di * hessian.values[size_t{i} * K + j] *
               (q[n * K + j] - w[n * K + j]);
      }
    }
  }
  return sum;
}

std::vector<std::byte> bytes_of(const format::WeightData& weight,
                                uint32_t role) {
  const format::Plane* plane = weight.find(role);
  if (plane == nullptr) return {};
  return {plane->bytes().begin(), plane->bytes().end()};
}

GptqResult quantize(const WeightScheme& scheme, const GptqOptions& options,
                    const Hessian& hessian, uint32_t N,
                    const std::vector<float>& w) {
  auto factor = factor_hessian(hessian, options, run_serially());
  EXPECT_TRUE(factor.ok()) << factor.status().message();
  auto result = quantize_gptq(scheme, options, *factor, N, w, run_serially());
  EXPECT_TRUE(result.ok()) << result.status().message();
  return std::move(*result);
}

struct Case {
  const char* name;
  WeightScheme scheme;
  GptqOptions options;
};

GptqOptions with(bool act_order, bool static_groups) {
  GptqOptions options;
  options.act_order = act_order;
  options.static_groups = static_groups;
  return options;
}

std::vector<Case> cases() {
  return {
      {"i4_channel", {TSR_WEIGHT_I4}, {}},
      {"i4_g32", {TSR_WEIGHT_I4, 32}, {}},
      {"u4_g32_asym", {TSR_WEIGHT_U4, 32, false, false}, {}},
      {"u4_g64_asym", {TSR_WEIGHT_U4, 64, false, false}, {}},
      {"i4_g128", {TSR_WEIGHT_I4, 128}, {}},
      {"i4_g200_across_blocks", {TSR_WEIGHT_I4, 200}, {}},
      {"i8_channel", {TSR_WEIGHT_I8}, {}},
      {"u8_channel_asym", {TSR_WEIGHT_U8, 0, false, false}, {}},
      {"i8_tensor", {TSR_WEIGHT_I8, 0, true}, {}},
      {"i4_channel_act_order", {TSR_WEIGHT_I4}, with(true, false)},
      {"i4_g32_act_order", {TSR_WEIGHT_I4, 32}, with(true, false)},
      {"u4_g32_static", {TSR_WEIGHT_U4, 32, false, false}, with(true, true)},
  };
}

// 172 = 128 + 44: past one lazy block, no multiple of a group; 65 rows: past
// one strip.
constexpr uint32_t kK = 172;
constexpr uint32_t kN = 65;

class GptqCase : public testing::TestWithParam<Case> {};

TEST_P(GptqCase, ReportsTheErrorThatItsCodesHave) {
  const Case& c = GetParam();
  const Hessian hessian = hessian_of(correlated_rows(400, kK), kK);
  const std::vector<float> w = normal_values(size_t{kN} * kK, 7);
  const GptqResult result = quantize(c.scheme, c.options, hessian, kN, w);
  const double expected =
      weighted_error(w, decode(result.weight), hessian, c.options.damping);
  // The identity is exact; f32 sums of K products at condition 1e4 or less
  // leave about three digits.
  EXPECT_NEAR(result.weighted_error / expected, 1.0, 1e-3);
}

TEST_P(GptqCase, BeatsRoundingToNearest) {
  const Case& c = GetParam();
  const Hessian hessian = hessian_of(correlated_rows(400, kK), kK);
  const std::vector<float> w = normal_values(size_t{kN} * kK, 7);
  const GptqResult result = quantize(c.scheme, c.options, hessian, kN, w);
  const auto rounded = format::encode_weight(c.scheme, kN, kK, w);
  ASSERT_TRUE(rounded.ok());
  EXPECT_LT(result.weighted_error,
            weighted_error(w, decode(*rounded), hessian, c.options.damping));
}

TEST_P(GptqCase, RoundsToNearestWhereInputsAreIndependent) {
  const Case& c = GetParam();
  const std::vector<float> w = normal_values(size_t{kN} * kK, 7);
  const GptqResult result = quantize(c.scheme, c.options, identity(kK), kN, w);
  const auto rounded = format::encode_weight(c.scheme, kN, kK, w);
  ASSERT_TRUE(rounded.ok());
  for (const uint32_t role :
       {TSR_PLANE_CODES, TSR_PLANE_SCALE, TSR_PLANE_ZERO_POINT}) {
    EXPECT_EQ(bytes_of(result.weight, role), bytes_of(*rounded, role)) << role;
  }
}

TEST_P(GptqCase, ThreadsChangeNoBit) {
  const Case& c = GetParam();
  const Hessian hessian = hessian_of(correlated_rows(400, kK), kK);
  const std::vector<float> w = normal_values(size_t{kN} * kK, 7);
  const GptqResult serial = quantize(c.scheme, c.options, hessian, kN, w);
  ThreadPool pool(3);
  const auto factor = factor_hessian(hessian, c.options, run_on(pool));
  ASSERT_TRUE(factor.ok());
  const auto parallel =
      quantize_gptq(c.scheme, c.options, *factor, kN, w, run_on(pool));
  ASSERT_TRUE(parallel.ok());
  EXPECT_EQ(serial.weighted_error, parallel->weighted_error);
  EXPECT_EQ(bytes_of(serial.weight, TSR_PLANE_CODES),
            bytes_of(parallel->weight, TSR_PLANE_CODES));
}

INSTANTIATE_TEST_SUITE_P(Schemes, GptqCase, testing::ValuesIn(cases()),
                         [](const auto& param) { return param.param.name; });

// Algorithm 1 without blocks: after rounding column q, every column right of it
// moves by -error / [H^-1]_qq * [H^-1]_q,: of the inverse over the columns not
// yet rounded (arXiv:2210.17323, equation 2), by Gaussian elimination in f64.
std::vector<double> textbook_gptq(std::vector<double> w, std::vector<double> h,
                                  uint32_t K, double scale) {
  std::vector<double> inverse(size_t{K} * K, 0.0);
  for (uint32_t p = 0; p < K; ++p) inverse[p * K + p] = 1.0;
  for (uint32_t p = 0; p < K; ++p) {
    const double pivot = h[p * K + p];
    for (uint32_t j = 0; j < K; ++j) {
      h[p * K + j] /= pivot;
      inverse[p * K + j] /= pivot;
    }
    for (uint32_t i = 0; i < K; ++i) {
      if (i == p) continue;
      const double factor = h[i * K + p];
      for (uint32_t j = 0; j < K; ++j) {
        h[i * K + j] -= factor * h[p * K + j];
        inverse[i * K + j] -= factor * inverse[p * K + j];
      }
    }
  }
  std::vector<double> rounded(K);
  for (uint32_t q = 0; q < K; ++q) {
    const double code = std::clamp(std::nearbyint(w[q] / scale), -8.0, 7.0);
    rounded[q] = code * scale;
    const double error = (w[q] - rounded[q]) / inverse[q * K + q];
    for (uint32_t j = q; j < K; ++j) w[j] -= error * inverse[q * K + j];
    // Remove q from the inverse: equation 3.
    std::vector<double> next = inverse;
    for (uint32_t i = 0; i < K; ++i) {
      for (uint32_t j = 0; j < K; ++j) {
        next[i * K + j] -=
            inverse[i * K + q] * inverse[q * K + j] / inverse[q * K + q];
      }
    }
    inverse = next;
  }
  return rounded;
}

TEST(Gptq, MatchesTheTextbookFormColumnByColumn) {
  const uint32_t K = 20;
  const uint32_t N = 5;
  const Hessian hessian = hessian_of(correlated_rows(60, K), K);
  const std::vector<float> w = normal_values(size_t{N} * K, 7);
  GptqOptions options;
  options.damping = 0.05;
  const auto values =
      decode(quantize({TSR_WEIGHT_I4}, options, hessian, N, w).weight);

  double mean = 0.0;
  for (size_t k = 0; k < K; ++k)
    mean += hessian.values[k * (K + 1)] / double{K};
  std::vector<double> damped(hessian.values.begin(), hessian.values.end());
  for (size_t k = 0; k < K; ++k) damped[k * (K + 1)] += 0.05 * mean;
  for (size_t n = 0; n < N; ++n) {
    const std::span<const float> row(w.data() + n * K, K);
    float amax = 0.0f;
    for (const float value : row) amax = std::max(amax, std::fabs(value));
    const std::vector<double> expected =
        textbook_gptq({row.begin(), row.end()}, damped, K, double{amax / 7.0f});
    for (uint32_t k = 0; k < K; ++k) {
      EXPECT_NEAR(values[n * K + k], expected[k], 1e-5) << n << ", " << k;
    }
  }
}

TEST(Gptq, FindsTheBestRoundingOfTwoColumns) {
  // With the first code given, the second is free to be the best one, so the
  // result is at most as bad as the brute-force optimum of the second column.
  Hessian hessian{2, {2.0f, 1.8f, 1.8f, 2.0f}};
  GptqOptions options;
  options.damping = 0.0;
  const std::vector<float> w = {0.49f, 7.0f};
  const auto values =
      decode(quantize({TSR_WEIGHT_I4}, options, hessian, 1, w).weight);
  double best = std::numeric_limits<double>::infinity();
  for (int code = -8; code <= 7; ++code) {
    const std::vector<double> q = {values[0], static_cast<double>(code)};
    best = std::min(best, weighted_error(w, q, hessian, 0.0));
  }
  EXPECT_DOUBLE_EQ(weighted_error(w, values, hessian, 0.0), best);
}

TEST(Gptq, RoundsDeadColumnsToNearest) {
  const uint32_t K = 40;
  std::vector<float> x = correlated_rows(100, K);
  for (size_t i = 0; i < x.size(); ++i) {
    if (i % K == 5 || i % K == 39) x[i] = 0.0f;
  }
  const Hessian hessian = hessian_of(x, K);
  const std::vector<float> w = normal_values(K, 7);
  const auto factor = factor_hessian(hessian, {}, run_serially());
  ASSERT_TRUE(factor.ok());
  EXPECT_EQ(factor->num_dead, 2U);
  EXPECT_EQ(factor->num_retries, 0U);
  const auto values =
      decode(quantize({TSR_WEIGHT_I4}, {}, hessian, 1, w).weight);
  const auto rounded = format::encode_weight({TSR_WEIGHT_I4}, 1, K, w);
  ASSERT_TRUE(rounded.ok());
  EXPECT_EQ(values[5], decode(*rounded)[5]);
  EXPECT_EQ(values[39], decode(*rounded)[39]);
}

TEST(Gptq, RoundsToNearestWhereNoFeatureEverMoves) {
  // The input of down_proj where gate_proj or up_proj is all zeros.
  const uint32_t K = 40;
  const Hessian hessian{K, std::vector<float>(size_t{K} * K, 0.0f)};
  const std::vector<float> w = normal_values(size_t{3} * K, 7);
  const auto rounded = format::encode_weight({TSR_WEIGHT_I4}, 3, K, w);
  ASSERT_TRUE(rounded.ok());
  EXPECT_EQ(decode(quantize({TSR_WEIGHT_I4}, {}, hessian, 3, w).weight),
            decode(*rounded));
}

TEST(Gptq, RaisesTheDampingOfASingularHessianAndSaysSo) {
  // One row of calibration: rank 1.
  const uint32_t K = 64;
  const Hessian hessian = hessian_of(normal_values(K), K);
  GptqOptions options;
  options.damping = 0.0;
  const auto factor = factor_hessian(hessian, options, run_serially());
  ASSERT_TRUE(factor.ok());
  EXPECT_GE(factor->num_retries, 1U);
  EXPECT_GT(factor->damping, 0.0);
}

TEST(Gptq, ActOrderPutsTheLargestInputsFirst) {
  const uint32_t K = 8;
  Hessian hessian = identity(K);
  hessian.values[size_t{5} * (K + 1)] = 4.0f;
  GptqOptions options;
  options.act_order = true;
  const auto factor = factor_hessian(hessian, options, run_serially());
  ASSERT_TRUE(factor.ok());
  EXPECT_EQ(factor->order, (std::vector<uint32_t>{5, 0, 1, 2, 3, 4, 6, 7}));
}

TEST(Gptq, NamesTheRowOfNan) {
  const auto factor = factor_hessian(identity(4), {}, run_serially());
  ASSERT_TRUE(factor.ok());
  std::vector<float> w(12, 1.0f);
  w[6] = std::numeric_limits<float>::infinity();
  const auto result =
      quantize_gptq({TSR_WEIGHT_I4}, {}, *factor, 3, w, run_serially());
  EXPECT_EQ(result.status().code(), TSR_INVALID_ARGUMENT);
  EXPECT_EQ(result.status().message(), "gptq: row 1: column 2 is infinite");
}

TEST(Gptq, RefusesABadHessian) {
  Hessian hessian = identity(3);
  hessian.values[5] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_EQ(factor_hessian(hessian, {}, run_serially()).status().message(),
            "gptq: hessian: row 1: column 2 is nan");
  const Hessian short_one{3, std::vector<float>(8, 1.0f)};
  EXPECT_EQ(factor_hessian(short_one, {}, run_serially()).status().code(),
            TSR_INVALID_ARGUMENT);
}

TEST(Gptq, RefusesSchemesWithoutIntegers) {
  const auto factor = factor_hessian(identity(4), {}, run_serially());
  const std::vector<float> w(4, 1.0f);
  EXPECT_EQ(
      quantize_gptq({TSR_WEIGHT_F8E4M3}, {}, *factor, 1, w, run_serially())
          .status()
          .code(),
      TSR_INVALID_ARGUMENT);
}

}  // namespace
}  // namespace tessera::quant
