// SPDX-License-Identifier: Apache-2.0

#include "framework/conformance/reference/bounds.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <vector>

#include "framework/format/encode.hpp"
#include "framework/tensor/half.hpp"
#include "tests/unit/framework/conformance/reference/paged_step.hpp"
#include "tests/unit/framework/conformance/reference/random_values.hpp"

namespace tessera::reference {
namespace {

TEST(Bounds, UlpIsTheSpacingOfTheType) {
  EXPECT_EQ(ulp(1.0, TSR_F32), 0x1p-23);
  EXPECT_EQ(ulp(-1.99, TSR_F32), 0x1p-23);
  EXPECT_EQ(ulp(2.0, TSR_F32), 0x1p-22);
  EXPECT_EQ(ulp(0.0, TSR_F32), 0x1p-149);
  EXPECT_EQ(ulp(1.0, TSR_F16), 0x1p-10);
  EXPECT_EQ(ulp(1e-9, TSR_F16), 0x1p-24);
  EXPECT_EQ(ulp(1.0, TSR_BF16), 0x1p-7);
}

TEST(Bounds, GammaIsHighamsConstant) {
  EXPECT_DOUBLE_EQ(gamma(1), 0x1p-24 / (1.0 - 0x1p-24));
  EXPECT_DOUBLE_EQ(gamma(4096), 0x1p-12 / (1.0 - 0x1p-12));
}

TEST(Bounds, FloatBoundIsEightUnitsOfTheLargestTerm) {
  EXPECT_EQ(float_bound(1.0, TSR_F32), 8 * 0x1p-23);
  EXPECT_EQ(float_bound(0.001, TSR_F32, -1.0), 8 * 0x1p-23);
}

// A kernel in f32 with the scale on the sum, in any of three orders, with the
// whole epilogue, rounded to the output type.
TEST(LinearBound, HoldsForF32KernelsOfEveryOrder) {
  std::mt19937 rng(42);
  const uint32_t M = 4;
  const uint32_t N = 3;
  const uint32_t K = 300;
  const std::vector<float> x = normal_values(rng, M * K);
  const std::vector<float> w = normal_values(rng, N * K);
  const std::vector<float> bias = normal_values(rng, N);
  const std::vector<float> multiplier = normal_values(rng, M * N);
  const std::vector<float> residual = normal_values(rng, M * N);
  const auto data = format::encode_weight({.format = TSR_WEIGHT_I8}, N, K, w);
  const auto weight = Weight::open(*data);
  Linear p;
  p.weight = &*weight;
  p.M = M;
  p.x = x.data();
  p.epilogue = {bias.data(), TSR_EPILOGUE_SILU, multiplier.data(),
                residual.data()};
  std::vector<double> y(M * N);
  ASSERT_TRUE(linear(p, y.data()).ok());

  std::vector<int32_t> codes(K);
  for (const uint32_t out_dtype : {TSR_F32, TSR_BF16}) {
    std::vector<double> bound(M * N);
    ASSERT_TRUE(linear_bound(p, {TSR_ERROR_DOT, out_dtype}, bound.data()).ok());
    for (const uint32_t stride : {1U, 7U, K - 1}) {  // coprime to K
      for (uint32_t i = 0; i < M * N; ++i) {
        weight->integer_row(i % N, codes);
        float sum = 0.0f;
        for (uint32_t j = 0; j < K; ++j) {
          const uint32_t k = j * stride % K;
          const float product = x[i / N * K + k] * static_cast<float>(codes[k]);
          sum = sum + product;
        }
        float value = sum * weight->scale(i % N, 0) + bias[i % N];
        value = value / (1.0f + std::exp(-value)) * multiplier[i];
        value = value + residual[i];
        if (out_dtype == TSR_BF16) value = bf16_to_f32(f32_to_bf16(value));
        EXPECT_NEAR(value, y[i], bound[i]);
      }
    }
  }
}

TEST(LinearBound, HalfProductsAllowFactorsOfSixteenBits) {
  std::mt19937 rng(42);
  const uint32_t K = 64;
  const std::vector<float> x = normal_values(rng, K);
  const std::vector<float> w = normal_values(rng, K);
  const auto data = format::encode_weight({}, 1, K, w);
  const auto weight = Weight::open(*data);
  Linear p;
  p.weight = &*weight;
  p.M = 1;
  p.x = x.data();
  double y = 0.0;
  double dot = 0.0;
  double half = 0.0;
  ASSERT_TRUE(linear(p, &y).ok());
  ASSERT_TRUE(linear_bound(p, {}, &dot).ok());
  ASSERT_TRUE(
      linear_bound(p, {TSR_ERROR_HALF_PRODUCTS, TSR_F32, TSR_BF16}, &half)
          .ok());
  float sum = 0.0f;
  for (uint32_t k = 0; k < K; ++k) {
    const float product =
        bf16_to_f32(f32_to_bf16(x[k])) * bf16_to_f32(f32_to_bf16(w[k]));
    sum = sum + product;
  }
  EXPECT_GT(std::fabs(sum - y), dot);
  EXPECT_LT(std::fabs(sum - y), half);
}

TEST(LinearBound, ExactLeavesOnlyTheOutputRounding) {
  const std::vector<float> x = {3.0f};
  const auto data = format::encode_weight({}, 1, 1, x);
  const auto weight = Weight::open(*data);
  Linear p;
  p.weight = &*weight;
  p.M = 1;
  p.x = x.data();
  double bound = -1.0;
  ASSERT_TRUE(linear_bound(p, {TSR_ERROR_EXACT, TSR_F32}, &bound).ok());
  EXPECT_EQ(bound, 0.0);
  ASSERT_TRUE(linear_bound(p, {TSR_ERROR_EXACT, TSR_F16}, &bound).ok());
  EXPECT_EQ(bound, ulp(9.0, TSR_F16) / 2);
}

// A streaming kernel in f32, one key at a time, rescaling at each maximum.
TEST(AttentionBound, HoldsForAStreamingF32Kernel) {
  PagedStep step = make_step(TSR_KV_F32, 4, 2, 16, {{6, 30}, {1, 17}});
  step.attention.scale = 2.0f;
  std::vector<double> expected(step.q_size());
  std::vector<double> bound(step.q_size());
  ASSERT_TRUE(attention(step.attention, step.pool(), expected.data()).ok());
  ASSERT_TRUE(
      attention_bound(step.attention, step.pool(), {}, bound.data()).ok());
  size_t row = 0;
  for (uint32_t s = 0; s < 2; ++s) {
    const auto [q_len, seq_len] = step.sequences[s];
    for (uint32_t t = 0; t < q_len; ++t) {
      for (uint32_t h = 0; h < 4; ++h, ++row) {
        float max = -INFINITY;
        float sum = 0.0f;
        std::vector<float> out(16);
        for (uint32_t j = 0; j <= seq_len - q_len + t; ++j) {
          const float* k = &step.k[s][(j * 2 + h / 2) * 16];
          const float* v = &step.v[s][(j * 2 + h / 2) * 16];
          float score = 0.0f;
          for (size_t i = 0; i < 16; ++i) score += step.q[row * 16 + i] * k[i];
          score *= 2.0f;
          const float new_max = std::max(max, score);
          const float keep = std::exp(max - new_max);
          const float weight = std::exp(score - new_max);
          for (size_t i = 0; i < 16; ++i) {
            out[i] = out[i] * keep + weight * v[i];
          }
          sum = sum * keep + weight;
          max = new_max;
        }
        for (size_t i = 0; i < 16; ++i) {
          const size_t index = row * 16 + i;
          EXPECT_NEAR(out[i] / sum, expected[index], bound[index]);
          // A bound that allows a visible error would prove nothing.
          EXPECT_LT(bound[index], 1e-3);
        }
      }
    }
  }
}

}  // namespace
}  // namespace tessera::reference
