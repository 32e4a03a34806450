// SPDX-License-Identifier: Apache-2.0
//
// Integer linear against numbers worked out by hand and against a second,
// scalar spelling of numerics.md section 1.

#include "framework/conformance/reference/linear/linear_integer.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <vector>

#include "framework/conformance/reference/linear/activation.hpp"
#include "framework/conformance/reference/linear/linear.hpp"
#include "framework/format/encode.hpp"
#include "tests/unit/framework/conformance/reference/planes.hpp"
#include "tests/unit/framework/conformance/reference/random_values.hpp"

namespace tessera::reference {
namespace {

using format::WeightData;
using testing::ElementsAre;
using testing::HasSubstr;

// codes [2, 4], scales 0.5 and 0.25.
WeightData small_weight() {
  WeightData data{TSR_WEIGHT_I8, 2, 4, {}};
  data.planes = {make_plane<int8_t>(TSR_PLANE_CODES, TSR_I8, 2, 4,
                                    {1, 2, 3, 4, -1, 0, 127, -128}),
                 make_blocked_plane<float>(data, TSR_PLANE_SCALE, TSR_F32, 1, 4,
                                           {0.5f, 0.25f})};
  return data;
}

void add_static(WeightData& data, float scale, float inv, int32_t zero) {
  data.planes.push_back(
      make_plane<float>(TSR_PLANE_ACT_SCALE, TSR_F32, 1, 1, {scale}));
  data.planes.push_back(
      make_plane<float>(TSR_PLANE_ACT_INV, TSR_F32, 1, 1, {inv}));
  data.planes.push_back(
      make_plane<int32_t>(TSR_PLANE_ACT_ZERO_POINT, TSR_I32, 1, 1, {zero}));
}

struct Output {
  std::vector<float> y;
  std::vector<int32_t> acc;
};

Output run(const WeightData& data, const std::vector<float>& x,
           uint32_t act_quant, uint32_t num_decode_tokens = 0) {
  const auto weight = Weight::open(data);
  EXPECT_TRUE(weight.ok()) << weight.status().message();
  Linear p;
  p.weight = &*weight;
  p.M = static_cast<uint32_t>(x.size()) / data.K;
  p.x = x.data();
  p.act_quant = act_quant;
  p.num_decode_tokens = num_decode_tokens;
  Output output;
  output.y.resize(size_t{p.M} * data.N);
  output.acc.resize(output.y.size());
  Status status = linear(p, output.y.data());
  EXPECT_TRUE(status.ok()) << status.message();
  if (!linear_accumulators(p, output.acc.data()).ok()) output.acc.clear();
  return output;
}

TEST(IntegerLinear, DynamicCodesByHand) {
  // Codes 127, -64 (-63.5 ties to even), 0, 2 (1.5 ties to even).
  const Output output =
      run(small_weight(), {127.0f, -63.5f, 0.25f, 1.5f}, TSR_ACT_I8_DYNAMIC);
  EXPECT_THAT(output.acc, ElementsAre(127 - 128 + 0 + 8, -127 + 0 + 0 - 256));
  const float scale_a = 127.0f * (1.0f / 127.0f);
  EXPECT_THAT(output.y, ElementsAre(7.0f * (scale_a * 0.5f),
                                    -383.0f * (scale_a * 0.25f)));
}

TEST(IntegerLinear, StaticCodesLoseTheirZeroPointBeforeTheSum) {
  WeightData data = small_weight();
  add_static(data, 0.5f, 2.0f, -10);
  // q - zero point: 2, -4, 137 (saturated at 127), 1 (0.75 * 2 = 1.5 -> 2).
  const Output output =
      run(data, {1.0f, -2.0f, 1e9f, 0.75f}, TSR_ACT_I8_STATIC);
  EXPECT_THAT(output.acc, ElementsAre(2 - 8 + 411 + 8, -2 + 137 * 127 - 256));
  EXPECT_EQ(output.y[0], 413.0f * 0.25f);
  EXPECT_EQ(output.y[1], 17141.0f * 0.125f);
}

TEST(IntegerLinear, UnsignedStaticCodesReach255) {
  WeightData data = small_weight();
  add_static(data, 0.5f, 2.0f, 3);
  const Output output = run(data, {1e9f, -1e9f, 0.0f, 0.0f}, TSR_ACT_U8_STATIC);
  EXPECT_THAT(output.acc, ElementsAre(252 - 6, -252));
}

TEST(IntegerLinear, MixIsStaticForDecodeTokensAndDynamicForTheOthers) {
  WeightData data = small_weight();
  add_static(data, 0.5f, 2.0f, 0);
  const std::vector<float> row = {1.0f, 2.0f, 3.0f, 4.0f};
  std::vector<float> x = row;
  x.insert(x.end(), row.begin(), row.end());
  const Output mixed = run(data, x, TSR_ACT_I8_MIX, 1);
  const Output fixed = run(data, row, TSR_ACT_I8_STATIC);
  const Output dynamic = run(data, row, TSR_ACT_I8_DYNAMIC);
  EXPECT_THAT(mixed.acc, ElementsAre(fixed.acc[0], fixed.acc[1], dynamic.acc[0],
                                     dynamic.acc[1]));
  EXPECT_THAT(mixed.y,
              ElementsAre(fixed.y[0], fixed.y[1], dynamic.y[0], dynamic.y[1]));
}

TEST(IntegerLinear, FourBitActivationsReachSeven) {
  WeightData data{TSR_WEIGHT_I4, 1, 3, {}};
  data.planes = {
      make_plane<uint8_t>(TSR_PLANE_CODES, TSR_I4, 1, 3, {0x78, 0x01}),
      make_blocked_plane<float>(data, TSR_PLANE_SCALE, TSR_F32, 1, 3, {1})};
  const Output output = run(data, {7.0f, -7.0f, 2.5f}, TSR_ACT_I4_DYNAMIC);
  EXPECT_THAT(output.acc, ElementsAre(-56 - 49 + 2));
}

TEST(IntegerLinear, QuantBiasJoinsTheAccumulator) {
  WeightData data = small_weight();
  data.planes.push_back(
      make_plane<int32_t>(TSR_PLANE_QUANT_BIAS, TSR_I32, 2, 1, {1000, -5}));
  const Output output =
      run(data, {127.0f, 0.0f, 0.0f, 0.0f}, TSR_ACT_I8_DYNAMIC);
  const float scale_a = 127.0f * (1.0f / 127.0f);
  EXPECT_THAT(output.acc, ElementsAre(127, -127));  // raw sums are without it
  EXPECT_THAT(output.y, ElementsAre(1127.0f * (scale_a * 0.5f),
                                    -132.0f * (scale_a * 0.25f)));
}

// numerics.md: y = fma(f32(acc_g), scale_g, y) in ascending g, the token's
// scale (times the channel's) last.  These scales make every other order and
// every missing fma visible.
TEST(IntegerLinear, GroupsAreFusedInAscendingOrder) {
  std::mt19937 rng(42);
  const uint32_t K = 20 * 32 + 5;
  const std::vector<float> x = normal_values(rng, K);
  const std::vector<float> w = normal_values(rng, K);
  WeightData data = *format::encode_weight(
      {.format = TSR_WEIGHT_I4, .group_size = 32}, 1, K, w);
  data.planes.push_back(
      make_blocked_plane<float>(data, TSR_PLANE_SCALE2, TSR_F32, 1, K, {0.3f}));
  const auto weight = Weight::open(data);
  ASSERT_TRUE(weight.ok());
  std::vector<int32_t> q(K);
  std::vector<int32_t> codes(K);
  const float scale_a = quantize_dynamic(x, 127, q);
  weight->integer_row(0, codes);

  float expected = 0.0f;
  float unfused = 0.0f;
  for (uint32_t g = 0; g < 21; ++g) {
    int32_t acc = 0;
    for (uint32_t k = 32 * g; k < std::min(32 * (g + 1), K); ++k) {
      acc += q[k] * codes[k];
    }
    const float scale = weight->scale(0, 32 * g);
    expected = std::fma(static_cast<float>(acc), scale, expected);
    const float product = static_cast<float>(acc) * scale;
    unfused = unfused + product;
  }
  const float last = scale_a * 0.3f;
  const Output output = run(data, x, TSR_ACT_I8_DYNAMIC);
  EXPECT_EQ(output.y[0], expected * last);
  EXPECT_NE(expected, unfused);
  EXPECT_TRUE(output.acc.empty());  // several sums a row
}

// One scale a row, however it is written, is the per-channel formula.
TEST(IntegerLinear, PerTensorScalesAreFoldedLikePerChannelOnes) {
  std::mt19937 rng(42);
  const std::vector<float> x = normal_values(rng, 2 * 40);
  const std::vector<float> w = normal_values(rng, 3 * 40);
  const WeightData data = *format::encode_weight(
      {.format = TSR_WEIGHT_I8, .per_tensor = true}, 3, 40, w);
  const auto weight = Weight::open(data);
  const Output output = run(data, x, TSR_ACT_I8_DYNAMIC);
  std::vector<int32_t> codes(40);
  const float scale_a = quantize_dynamic({&x[40], 40}, 127, codes);
  for (uint32_t n = 0; n < 3; ++n) {
    const float scale = scale_a * weight->scale(n, 0);
    EXPECT_EQ(output.y[3 + n], static_cast<float>(output.acc[3 + n]) * scale);
  }
}

TEST(IntegerLinear, AccumulatorsAreExactForEveryFormatAndRaggedSize) {
  std::mt19937 rng(42);
  for (const uint32_t format :
       {TSR_WEIGHT_I8, TSR_WEIGHT_U8, TSR_WEIGHT_I4, TSR_WEIGHT_U4}) {
    for (const bool symmetric : {true, format == TSR_WEIGHT_I4}) {
      const uint32_t M = 66;
      const uint32_t N = 17;
      const uint32_t K = 33;
      const std::vector<float> x = normal_values(rng, M * K);
      const std::vector<float> w = normal_values(rng, N * K);
      const WeightData data = *format::encode_weight(
          {.format = format, .symmetric = symmetric}, N, K, w);
      const auto weight = Weight::open(data);
      const Output output = run(data, x, TSR_ACT_I8_DYNAMIC);
      std::vector<int32_t> q(K);
      std::vector<int32_t> codes(K);
      for (uint32_t m = 0; m < M; ++m) {
        quantize_dynamic({&x[m * K], K}, 127, q);
        for (uint32_t n = 0; n < N; ++n) {
          weight->integer_row(n, codes);
          int64_t sum = 0;
          for (uint32_t k = 0; k < K; ++k) sum += int64_t{q[k]} * codes[k];
          ASSERT_EQ(output.acc[m * N + n], sum);
        }
      }
    }
  }
}

TEST(IntegerLinear, RowsThatAreNotFiniteGiveNaNAndZerosGiveZeros) {
  WeightData data = small_weight();
  std::vector<float> x(3 * 4, 0.0f);
  x[5] = std::numeric_limits<float>::infinity();
  x[8] = 1.0f;
  const Output output = run(data, x, TSR_ACT_I8_DYNAMIC);
  EXPECT_EQ(output.y[0], 0.0f);
  EXPECT_TRUE(std::isnan(output.y[2]) && std::isnan(output.y[3]));
  EXPECT_FALSE(std::isnan(output.y[4]));
}

TEST(IntegerLinear, TheEpilogueRoundsEveryStep) {
  const WeightData data = small_weight();
  const auto weight = Weight::open(data);
  const std::vector<float> x = {1.0f, 0.3f, -0.7f, 0.1f};
  const std::vector<float> bias = {0.1f, 1e8f};
  const std::vector<float> multiplier = {1.1f, 1.0f};
  const std::vector<float> residual = {0.2f, -1e8f};
  const Output raw = run(data, x, TSR_ACT_I8_DYNAMIC);
  Linear p;
  p.weight = &*weight;
  p.M = 1;
  p.x = x.data();
  p.act_quant = TSR_ACT_I8_DYNAMIC;
  p.epilogue = {bias.data(), TSR_EPILOGUE_NONE, multiplier.data(),
                residual.data()};
  std::vector<double> y(2);
  ASSERT_TRUE(linear(p, y.data()).ok());
  const float biased = raw.y[0] + bias[0];
  const float multiplied = biased * multiplier[0];
  const float expected = multiplied + residual[0];
  EXPECT_EQ(y[0], expected);
  EXPECT_EQ(y[1], (raw.y[1] + 1e8f) - 1e8f);
  EXPECT_NE(y[1], raw.y[1]);
}

TEST(IntegerLinear, RefusesSumsThatCouldOverflow) {
  // 127 * 128 * K < 2^31 up to K = 132,104.
  for (const uint32_t K : {132104U, 132105U}) {
    WeightData data{TSR_WEIGHT_I8, 1, K, {}};
    data.planes = {make_plane<int8_t>(TSR_PLANE_CODES, TSR_I8, 1, K,
                                      std::vector<int8_t>(K, -128)),
                   make_blocked_plane<float>(data, TSR_PLANE_SCALE, TSR_F32, 1,
                                             K, {1.0f})};
    const auto weight = Weight::open(data);
    const std::vector<float> x(K, -127.0f);
    Linear p;
    p.weight = &*weight;
    p.M = 1;
    p.x = x.data();
    p.act_quant = TSR_ACT_I8_DYNAMIC;
    int32_t acc = 0;
    const Status status = linear_accumulators(p, &acc);
    if (K == 132104U) {
      EXPECT_TRUE(status.ok()) << status.message();
      EXPECT_EQ(acc, 127 * 128 * 132104);
    } else {
      EXPECT_EQ(status.message(),
                "linear: K=132105 could overflow an i32 accumulator");
    }
  }
}

TEST(IntegerLinear, IsStaticOnlyWithItsPlanes) {
  const WeightData data = small_weight();
  const auto weight = Weight::open(data);
  const std::vector<float> x(4, 1.0f);
  Linear p;
  p.weight = &*weight;
  p.M = 1;
  p.x = x.data();
  p.act_quant = TSR_ACT_I8_STATIC;
  std::vector<float> y(2);
  EXPECT_THAT(linear(p, y.data()).message(), HasSubstr("act_scale"));
}

}  // namespace
}  // namespace tessera::reference
