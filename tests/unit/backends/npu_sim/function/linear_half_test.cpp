// SPDX-License-Identifier: Apache-2.0
//
// Float linear: the bits of a scalar loop in ascending k, and within the
// oracle's bound.

#include <gtest/gtest.h>

#include <cmath>

#include "backends/npu_sim/function/linear/linear.hpp"
#include "framework/conformance/reference/bounds.hpp"
#include "framework/conformance/reference/linear/linear.hpp"
#include "tessera/error.hpp"
#include "tests/unit/backends/npu_sim/function/test_tensor.hpp"

namespace tessera::npu {
namespace {

struct HalfCase {
  std::string name;
  format::WeightScheme scheme;
  Half type;
};

std::vector<HalfCase> half_cases() {
  return {
      {"w16a16", {.format = TSR_WEIGHT_F16}, Half::kF16},
      {"bf16", {.format = TSR_WEIGHT_BF16}, Half::kBf16},
      {"w8a16", {.format = TSR_WEIGHT_I8}, Half::kF16},
      {"w8a16_bf16", {.format = TSR_WEIGHT_I8}, Half::kBf16},
      {"w4a16_g32", {.format = TSR_WEIGHT_U4, .group_size = 32}, Half::kF16},
      {"w4a16_g128_asym",
       {.format = TSR_WEIGHT_U4, .group_size = 128, .symmetric = false},
       Half::kBf16},
      {"w4a16_two_level",
       {.format = TSR_WEIGHT_I4, .group_size = 64, .two_level = true},
       Half::kF16}};
}

Linear our_case(const Shape& shape, const TestTensor& x, TestTensor& y) {
  Linear op;
  op.M = shape.M;
  op.x = x.input();
  op.y = y.output();
  op.n_end = shape.N;
  return op;
}

// The weight as the vector unit hands it to the cube.
float cube_weight(const reference::Weight& weight, const HalfCase& c,
                  uint32_t n, uint32_t k) {
  std::vector<double> row(weight.K());
  if (!weight.has_integers()) {
    weight.decode_row(n, row);
    return static_cast<float>(row[k]);
  }
  std::vector<int32_t> codes(weight.K());
  weight.integer_row(n, codes);
  float value = static_cast<float>(codes[k]) * weight.scale(n, k);
  if (weight.has_scale2()) value = value * weight.scale2(n);
  return rounded_to_half(c.type, value);
}

void expect_scalar_bits(const HalfCase& c, const Shape& shape,
                        std::mt19937& rng) {
  const format::WeightData planes = random_planes(c.scheme, shape, rng);
  const auto view = planes.view();
  const HalfWeight weight = make_half_weight(view.desc(), c.type);
  const auto oracle = reference::Weight::open(planes);
  ASSERT_TRUE(oracle.ok());
  const uint32_t y_dtype = c.type == Half::kF16 ? TSR_F32 : TSR_BF16;
  const TestTensor x(TSR_F32, shape.M, shape.K, rng);
  TestTensor y(y_dtype, shape.M, shape.N);
  LinearScratch scratch;
  linear(weight, our_case(shape, x, y), scratch, {});
  ASSERT_TRUE(y.gaps_untouched());

  for (int64_t n = 0; n < shape.N; ++n) {
    std::vector<float> w;
    for (uint32_t k = 0; k < shape.K; ++k) {
      w.push_back(cube_weight(*oracle, c, static_cast<uint32_t>(n), k));
    }
    for (int64_t m = 0; m < shape.M; ++m) {
      float sum = 0.0f;
      for (int64_t k = 0; k < shape.K; ++k) {
        const float value = rounded_to_half(c.type, x.at(m, k));
        sum = static_cast<float>(double{sum} +
                                 double{value} * w[static_cast<size_t>(k)]);
      }
      ASSERT_EQ(y.at(m, n), rounded_to(y_dtype, sum))
          << c.name << " m=" << m << " n=" << n << " K=" << shape.K;
    }
  }
}

void expect_within_bound(const HalfCase& c, const Shape& shape,
                         std::mt19937& rng) {
  const format::WeightData planes = random_planes(c.scheme, shape, rng);
  const auto view = planes.view();
  const HalfWeight weight = make_half_weight(view.desc(), c.type);
  const auto oracle = reference::Weight::open(planes);
  const TestTensor x(TSR_F32, shape.M, shape.K, rng);
  TestTensor y(TSR_F32, shape.M, shape.N);
  LinearScratch scratch;
  linear(weight, our_case(shape, x, y), scratch, {});
  const std::vector<float> values = x.values();
  reference::Linear p;
  p.weight = &*oracle;
  p.M = static_cast<uint32_t>(shape.M);
  p.x = values.data();
  std::vector<double> expected(static_cast<size_t>(shape.M * shape.N));
  std::vector<double> bound(expected.size());
  const uint32_t half = c.type == Half::kF16 ? TSR_F16 : TSR_BF16;
  ASSERT_TRUE(reference::linear(p, expected.data()).ok());
  ASSERT_TRUE(reference::linear_bound(
                  p, {TSR_ERROR_HALF_PRODUCTS, TSR_F32, half}, bound.data())
                  .ok());
  const std::vector<float> actual = y.values();
  for (size_t i = 0; i < expected.size(); ++i) {
    ASSERT_LE(std::fabs(actual[i] - expected[i]), bound[i]) << c.name;
  }
}

TEST(NpuLinearHalf, SumsExactProductsInAscendingOrder) {
  std::mt19937 rng(42);
  for (const HalfCase& c : half_cases()) {
    for (const Shape& shape : edge_shapes()) {
      if (shape.N * shape.K > 20000) continue;  // the scalar loop is slow
      expect_scalar_bits(c, shape, rng);
      if (HasFatalFailure()) return;
    }
  }
}

TEST(NpuLinearHalf, StaysWithinTheOraclesBound) {
  std::mt19937 rng(42);
  for (const HalfCase& c : half_cases()) {
    for (const Shape& shape : edge_shapes()) {
      expect_within_bound(c, shape, rng);
      if (HasFatalFailure()) return;
    }
  }
}

TEST(NpuLinearHalf, ComputesAnyRangeOfColumnsAlike) {
  std::mt19937 rng(42);
  const Shape shape{3, 50, 40};
  const format::WeightData planes =
      random_planes({.format = TSR_WEIGHT_F16}, shape, rng);
  const auto view = planes.view();
  const HalfWeight weight = make_half_weight(view.desc(), Half::kF16);
  const TestTensor x(TSR_F16, shape.M, shape.K, rng);
  TestTensor all(TSR_F32, shape.M, shape.N);
  LinearScratch scratch;
  linear(weight, our_case(shape, x, all), scratch, {});
  for (const auto& [begin, end] : {std::pair<int64_t, int64_t>{0, 1},
                                   {15, 17},
                                   {16, 32},
                                   {7, 50},
                                   {49, 50}}) {
    TestTensor part(TSR_F32, shape.M, end - begin);
    Linear op = our_case(shape, x, part);
    op.n_begin = begin;
    op.n_end = end;
    linear(weight, op, scratch, {});
    ASSERT_TRUE(part.gaps_untouched());
    for (int64_t m = 0; m < shape.M; ++m) {
      for (int64_t n = begin; n < end; ++n) {
        ASSERT_EQ(part.at(m, n - begin), all.at(m, n)) << begin << ".." << end;
      }
    }
  }
}

TEST(NpuLinearHalf, RefusesTheOtherHalfType) {
  std::mt19937 rng(42);
  const format::WeightData planes =
      random_planes({.format = TSR_WEIGHT_BF16}, {1, 2, 3}, rng);
  const auto view = planes.view();
  EXPECT_THROW(make_half_weight(view.desc(), Half::kF16), sdk::Error);
}

}  // namespace
}  // namespace tessera::npu
