// SPDX-License-Identifier: Apache-2.0

#include "framework/conformance/reference/linear/linear.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <vector>

#include "framework/conformance/reference/bounds.hpp"
#include "framework/conformance/reference/elementwise.hpp"
#include "framework/format/encode.hpp"
#include "framework/tensor/half.hpp"
#include "tests/unit/framework/conformance/reference/planes.hpp"
#include "tests/unit/framework/conformance/reference/random_values.hpp"

namespace tessera::reference {
namespace {

using format::WeightData;
using testing::HasSubstr;

struct Shape {
  uint32_t M;
  uint32_t N;
  uint32_t K;
};

// Below, at and above 8 and 64 tokens (the tiles), a block of 512 tokens and
// one of 16 rows.
const Shape kShapes[] = {{8, 2, 5},    {9, 2, 5},   {1, 1, 1},   {2, 15, 31},
                         {63, 16, 3},  {64, 17, 7}, {65, 33, 5}, {511, 2, 2},
                         {513, 18, 3}, {5, 3, 700}};

WeightData f32_weight(uint32_t N, uint32_t K, const std::vector<float>& w) {
  return *format::encode_weight({.format = TSR_WEIGHT_F32}, N, K, w);
}

// A second way to the same sum: whole numbers, so that any order is exact.
TEST(ReferenceLinear, IsTheSumOfProductsForEveryRaggedSize) {
  std::mt19937 rng(42);
  std::uniform_int_distribution<int> small(-9, 9);
  for (const Shape& shape : kShapes) {
    std::vector<float> x(size_t{shape.M} * shape.K);
    std::vector<float> w(size_t{shape.N} * shape.K);
    for (float& value : x) value = static_cast<float>(small(rng));
    for (float& value : w) value = static_cast<float>(small(rng));
    const WeightData data = f32_weight(shape.N, shape.K, w);
    const auto weight = Weight::open(data);
    ASSERT_TRUE(weight.ok());
    for (const SumOrder order : {SumOrder::kDouble, SumOrder::kF32Ascending,
                                 SumOrder::kF32Descending}) {
      Linear p;
      p.weight = &*weight;
      p.M = shape.M;
      p.x = x.data();
      p.sum_order = order;
      std::vector<double> y(size_t{shape.M} * shape.N);
      ASSERT_TRUE(linear(p, y.data()).ok());
      for (uint32_t m = 0; m < shape.M; ++m) {
        for (uint32_t n = 0; n < shape.N; ++n) {
          long expected = 0;
          for (uint32_t k = 0; k < shape.K; ++k) {
            expected += std::lround(x[size_t{m} * shape.K + k]) *
                        std::lround(w[size_t{n} * shape.K + k]);
          }
          ASSERT_EQ(y[size_t{m} * shape.N + n], static_cast<double>(expected))
              << m << " " << n << " of " << shape.M << "x" << shape.N << "x"
              << shape.K;
        }
      }
    }
  }
}

class LinearOnRandomValues : public testing::Test {
 protected:
  static constexpr uint32_t kM = 3;
  static constexpr uint32_t kN = 5;
  static constexpr uint32_t kK = 200;

  void SetUp() override {
    x_ = normal_values(rng_, kM * kK);
    w_ = normal_values(rng_, kN * kK);
    data_ = f32_weight(kN, kK, w_);
    weight_ = *Weight::open(data_);
    p_.weight = &weight_;
    p_.M = kM;
    p_.x = x_.data();
  }

  std::vector<double> run() {
    std::vector<double> y(size_t{kM} * p_.num_columns());
    EXPECT_TRUE(linear(p_, y.data()).ok());
    return y;
  }

  std::mt19937 rng_{42};
  std::vector<float> x_;
  std::vector<float> w_;
  WeightData data_;
  Weight weight_;
  Linear p_;
};

// Double sums differ from a long double sum by far less than f32 bounds.
TEST_F(LinearOnRandomValues, OneWrongWeightIsOutsideEveryBound) {
  const std::vector<double> y = run();
  std::vector<double> bound(y.size());
  ASSERT_TRUE(linear_bound(p_, {}, bound.data()).ok());
  for (const uint32_t k : {0U, 63U, 64U, kK - 1}) {
    std::vector<float> wrong = w_;
    wrong[2 * kK + k] += 0.25f;
    const WeightData wrong_data = f32_weight(kN, kK, wrong);
    const auto wrong_weight = Weight::open(wrong_data);
    Linear p = p_;
    p.weight = &*wrong_weight;
    std::vector<double> z(y.size());
    ASSERT_TRUE(linear(p, z.data()).ok());
    for (uint32_t m = 0; m < kM; ++m) {
      const size_t index = size_t{m} * kN + 2;
      EXPECT_NEAR(z[index] - y[index], 0.25 * x_[size_t{m} * kK + k], 1e-12);
      EXPECT_GT(std::fabs(z[index] - y[index]), bound[index]);
      EXPECT_EQ(z[index + 1], y[index + 1]);
    }
  }
}

TEST_F(LinearOnRandomValues, F32OrdersLieWithinTheDotBoundAndDiffer) {
  const std::vector<double> y = run();
  std::vector<double> bound(y.size());
  ASSERT_TRUE(linear_bound(p_, {}, bound.data()).ok());
  p_.sum_order = SumOrder::kF32Ascending;
  const std::vector<double> ascending = run();
  p_.sum_order = SumOrder::kF32Descending;
  const std::vector<double> descending = run();
  EXPECT_NE(ascending, descending);
  for (size_t i = 0; i < y.size(); ++i) {
    EXPECT_NEAR(ascending[i], y[i], bound[i]);
    EXPECT_NEAR(descending[i], y[i], bound[i]);
  }
  float sum = 0.0f;  // descending, written out
  for (size_t k = kK; k-- > 0;) {
    const float product = x_[k] * w_[k];
    sum = sum + product;
  }
  EXPECT_EQ(descending[0], sum);
}

TEST_F(LinearOnRandomValues, FactorsOfSixteenBitsAreRoundedAndSumsAreNot) {
  const std::vector<double> exact = run();
  std::vector<double> bound(exact.size());
  ASSERT_TRUE(linear_bound(p_, {TSR_ERROR_HALF_PRODUCTS, TSR_F32, TSR_F16},
                           bound.data())
                  .ok());
  p_.factor_dtype = TSR_F16;
  const std::vector<double> y = run();
  for (uint32_t m = 0; m < kM; ++m) {
    for (uint32_t n = 0; n < kN; ++n) {
      double sum = 0.0;
      for (uint32_t k = 0; k < kK; ++k) {
        sum += double{rounded_to(TSR_F16, x_[size_t{m} * kK + k])} *
               rounded_to(TSR_F16, w_[size_t{n} * kK + k]);
      }
      const size_t index = size_t{m} * kN + n;
      EXPECT_NEAR(y[index], sum, 1e-12);
      EXPECT_LE(std::fabs(y[index] - exact[index]), bound[index]);
    }
  }
  EXPECT_NE(y, exact);
}

TEST_F(LinearOnRandomValues, AnNRangeIsThoseColumns) {
  const std::vector<double> whole = run();
  const std::vector<float> bias = normal_values(rng_, kN);
  p_.epilogue.bias = bias.data();
  p_.n_begin = 2;
  p_.n_end = 4;
  const std::vector<double> part = run();
  ASSERT_EQ(part.size(), 2u * kM);
  for (uint32_t m = 0; m < kM; ++m) {
    for (uint32_t i = 0; i < 2; ++i) {
      EXPECT_EQ(part[m * 2 + i], whole[m * kN + 2 + i] + bias[2 + i]);
    }
  }
}

TEST_F(LinearOnRandomValues, TheEpilogueKeepsItsOrder) {
  const std::vector<double> raw = run();
  const std::vector<float> bias = normal_values(rng_, kN);
  const std::vector<float> multiplier = normal_values(rng_, kM * kN);
  const std::vector<float> residual = normal_values(rng_, kM * kN);
  p_.epilogue = {bias.data(), TSR_EPILOGUE_SILU, multiplier.data(),
                 residual.data()};
  const std::vector<double> y = run();
  for (size_t i = 0; i < y.size(); ++i) {
    EXPECT_EQ(y[i], silu(raw[i] + bias[i % kN]) * multiplier[i] + residual[i]);
  }
  p_.epilogue = {nullptr, TSR_EPILOGUE_GELU_ERF, nullptr, nullptr};
  EXPECT_EQ(run()[3], gelu_erf(raw[3]));
  p_.epilogue = {nullptr, TSR_EPILOGUE_GELU_TANH, nullptr, nullptr};
  EXPECT_EQ(run()[3], gelu_tanh(raw[3]));
}

TEST_F(LinearOnRandomValues, InputsAreMultipliedThenPermuted) {
  std::vector<int32_t> permutation(kK);
  for (uint32_t k = 0; k < kK; ++k) {
    permutation[k] = static_cast<int32_t>((k * 7 + 3) % kK);
  }
  const std::vector<float> multiplier = normal_values(rng_, kK);
  std::vector<float> arranged(x_.size());
  for (uint32_t m = 0; m < kM; ++m) {
    for (uint32_t k = 0; k < kK; ++k) {
      const auto feature = static_cast<size_t>(permutation[k]);
      arranged[m * kK + k] = x_[m * kK + feature] * multiplier[feature];
    }
  }
  p_.x = arranged.data();
  const std::vector<double> expected = run();

  data_.planes.push_back(
      make_plane(TSR_PLANE_PERMUTATION, TSR_I32, 1, kK, permutation));
  data_.planes.push_back(
      make_plane(TSR_PLANE_INPUT_MULTIPLIER, TSR_F32, 1, kK, multiplier));
  weight_ = *Weight::open(data_);
  p_.x = x_.data();
  EXPECT_EQ(run(), expected);
}

TEST_F(LinearOnRandomValues, MagnitudesAreSumsOfAbsoluteProducts) {
  std::vector<double> magnitudes(size_t{kM} * kN);
  ASSERT_TRUE(linear_magnitudes(p_, magnitudes.data()).ok());
  double expected = 0.0;
  for (uint32_t k = 0; k < kK; ++k) {
    expected += std::fabs(double{x_[kK + k]} * w_[4 * kK + k]);
  }
  EXPECT_DOUBLE_EQ(magnitudes[kN + 4], expected);
}

TEST_F(LinearOnRandomValues, KeptRowsChangeNothing) {
  const std::vector<double> y = run();
  weight_.keep_decoded();
  EXPECT_EQ(run(), y);

  data_ = *format::encode_weight(
      {.format = TSR_WEIGHT_U4, .group_size = 32, .symmetric = false}, kN, kK,
      w_);
  weight_ = *Weight::open(data_);
  p_.act_quant = TSR_ACT_I8_DYNAMIC;
  const std::vector<double> z = run();
  weight_.keep_integers();
  EXPECT_EQ(run(), z);
}

// x / scale is off by half a step of e4m3 (2^-4 relative), so is each product.
TEST_F(LinearOnRandomValues, F8ActivationsAreQuantizedPerToken) {
  data_ = *format::encode_weight({.format = TSR_WEIGHT_F8E4M3}, kN, kK, w_);
  weight_ = *Weight::open(data_);
  const std::vector<double> exact = run();
  std::vector<double> magnitudes(exact.size());
  ASSERT_TRUE(linear_magnitudes(p_, magnitudes.data()).ok());
  p_.act_quant = TSR_ACT_F8_DYNAMIC;
  const std::vector<double> y = run();
  EXPECT_NE(y, exact);
  for (size_t i = 0; i < y.size(); ++i) {
    EXPECT_NEAR(y[i], exact[i], 0x1p-4 * magnitudes[i]);
  }
}

TEST_F(LinearOnRandomValues, Q8ActivationsHaveAScalePer32Values) {
  std::vector<float> x(2 * 64, 0.0f);
  std::vector<float> w(64, 0.0f);
  x[0] = 127.0f;
  x[1] = 0.4f;  // rounds to code 0 beside 127
  x[32] = 1.27f;
  x[33] = 0.4f;  // code 40 of its own block
  w[1] = 1.0f;
  w[33] = 1.0f;
  const WeightData data =
      *format::encode_weight({.format = TSR_WEIGHT_Q8_0}, 1, 64, w);
  const auto weight = Weight::open(data);
  ASSERT_TRUE(weight.ok());
  std::vector<double> row(64);
  weight->decode_row(0, row);
  Linear p;
  p.weight = &*weight;
  p.M = 2;
  p.x = x.data();
  p.act_quant = TSR_ACT_Q8;
  std::vector<double> y(2);
  ASSERT_TRUE(linear(p, y.data()).ok());
  EXPECT_EQ(y[0], 40.0 * (1.27f * (1.0f / 127.0f)) * row[33]);
  EXPECT_EQ(y[1], 0.0);
}

TEST_F(LinearOnRandomValues, NaNReachesItsRowAlone) {
  x_[kK + 3] = std::nanf("");
  const std::vector<double> y = run();
  for (uint32_t n = 0; n < kN; ++n) {
    EXPECT_FALSE(std::isnan(y[n]));
    EXPECT_TRUE(std::isnan(y[kN + n]));
    EXPECT_FALSE(std::isnan(y[2 * kN + n]));
  }
}

TEST_F(LinearOnRandomValues, RefusesWhatDoesNotGoTogether) {
  std::vector<double> y(kM * kN);
  const auto message = [&](const Linear& p) {
    return linear(p, y.data()).message();
  };
  Linear p = p_;
  p.n_begin = 3;
  p.n_end = 6;
  EXPECT_EQ(message(p), "linear: columns 3 to 6 of 5");
  p.n_end = 3;
  EXPECT_EQ(message(p), "linear: columns 3 to 3 of 5");
  p = p_;
  p.act_quant = TSR_ACT_Q8;
  EXPECT_EQ(message(p), "linear: weight f32 with q8 activations");
  p.act_quant = TSR_ACT_F8_DYNAMIC;
  EXPECT_EQ(message(p), "linear: weight f32 with f8 activations");
  p.act_quant = TSR_ACT_I8_DYNAMIC;
  EXPECT_EQ(message(p), "linear: weight f32 has no integer codes");
  p.act_quant = 50;
  EXPECT_EQ(message(p), "linear: act_quant 50 is unknown");
  p = p_;
  p.epilogue.activation = 9;
  EXPECT_EQ(message(p), "linear: epilogue activation 9 is unknown");
  std::vector<int32_t> acc(kM * kN);
  EXPECT_THAT(linear_accumulators(p_, acc.data()).message(),
              HasSubstr("no integer accumulators"));
}

}  // namespace
}  // namespace tessera::reference
