// SPDX-License-Identifier: Apache-2.0
//
// The error bounds that tessera/portable_math.h states, against libm in double
// on every 509th float (all of them were tried once; the bounds hold).

#include "tessera/portable_math.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <limits>

namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

// The spacing of f32 at y.
double ulp(double y) {
  int exponent = 0;
  std::frexp(y, &exponent);
  return std::ldexp(1.0, exponent - 24);
}

// The largest |f(x) - exact(x)| / unit(x, exact(x)) over [lo, hi].
template <typename Unit>
double max_error(float (*f)(float), double (*exact)(double), float lo, float hi,
                 Unit unit) {
  double worst = 0.0;
  for (uint64_t bits = 0; bits < uint64_t{1} << 32; bits += 509) {
    const float x = tsr_from_bits_f32(static_cast<uint32_t>(bits));
    if (!(x >= lo && x <= hi)) continue;
    const double y = exact(x);
    if (std::fabs(y) < 0x1p-126) continue;
    worst = std::fmax(worst, std::fabs(f(x) - y) / unit(x, y));
  }
  return worst;
}

double in_ulps(double /*x*/, double y) { return ulp(y); }
double relative_to_x(double x, double /*y*/) { return std::fabs(x); }

double exact_sigmoid(double x) { return 1.0 / (1.0 + std::exp(-x)); }
double exact_silu(double x) { return x * exact_sigmoid(x); }
double exact_rsqrt(double x) { return 1.0 / std::sqrt(x); }
double exact_gelu_erf(double x) {
  return 0.5 * x * std::erfc(-x / std::sqrt(2.0));
}
double exact_gelu_tanh(double x) {
  const double z = std::sqrt(2.0 / M_PI) * (x + 0.044715 * x * x * x);
  return x * exact_sigmoid(2.0 * z);
}

TEST(PortableMath, ExpIsWithinItsBound) {
  EXPECT_LE(max_error(tsr_exp_f32, std::exp, TSR_EXP_MIN, TSR_EXP_MAX, in_ulps),
            1.0);
}

TEST(PortableMath, SigmoidAndSiluAreWithinTheirBounds) {
  EXPECT_LE(max_error(tsr_sigmoid_f32, exact_sigmoid, -87.33f, 1e30f, in_ulps),
            2.5);
  EXPECT_LE(max_error(tsr_silu_f32, exact_silu, -87.33f, 1e30f, in_ulps), 3.4);
}

TEST(PortableMath, RsqrtIsWithinItsBound) {
  EXPECT_LE(max_error(tsr_rsqrt_f32, exact_rsqrt, 0x1p-149f, 0x1p127f, in_ulps),
            1.5);
}

TEST(PortableMath, GeluIsWithinItsBounds) {
  EXPECT_LE(max_error(tsr_gelu_erf_f32, exact_gelu_erf, -13.1f, 1e30f, in_ulps),
            10.0);
  EXPECT_LE(
      max_error(tsr_gelu_tanh_f32, exact_gelu_tanh, -1e6f, 1e6f, relative_to_x),
      0x1p-22);
}

TEST(PortableMath, HandlesTheEndsOfTheLine) {
  EXPECT_EQ(tsr_exp_f32(0.0f), 1.0f);
  EXPECT_EQ(tsr_exp_f32(kInfinity), kInfinity);
  EXPECT_EQ(tsr_exp_f32(-kInfinity), 0.0f);
  EXPECT_EQ(tsr_exp_f32(89.0f), kInfinity);
  EXPECT_EQ(tsr_exp_f32(-88.0f), 0.0f);
  EXPECT_GE(tsr_exp_f32(TSR_EXP_MIN), 0x1p-126f);
  EXPECT_EQ(tsr_silu_f32(kInfinity), kInfinity);
  EXPECT_EQ(tsr_silu_f32(-1e30f), 0.0f);
  EXPECT_EQ(tsr_gelu_erf_f32(kInfinity), kInfinity);
  EXPECT_EQ(tsr_gelu_erf_f32(-1e30f), 0.0f);
  EXPECT_EQ(tsr_gelu_tanh_f32(kInfinity), kInfinity);
  EXPECT_EQ(tsr_gelu_tanh_f32(-1e30f), 0.0f);
}

TEST(PortableMath, CarriesNan) {
  for (const auto f : {tsr_exp_f32, tsr_sigmoid_f32, tsr_silu_f32,
                       tsr_rsqrt_f32, tsr_gelu_erf_f32, tsr_gelu_tanh_f32}) {
    EXPECT_TRUE(std::isnan(f(kNan)));
    EXPECT_TRUE(std::isnan(f(tsr_from_bits_f32(0x7f8001ffu))));
  }
}

// gamma(ceil(n / 64) + 5), Higham section 4.2, as the header says.
TEST(PortableMath, SumIsWithinItsBound) {
  for (const int n : {0, 1, 63, 64, 65, 1000}) {
    float x[1000] = {};
    double exact = 0.0;
    double magnitude = 0.0;
    for (int i = 0; i < n; ++i) {
      x[i] = std::sin(static_cast<float>(i * i + 1));
      exact += x[i];
      magnitude += std::fabs(x[i]);
    }
    const double m = ((n + 63) / 64 + 5) * 0x1p-24;
    EXPECT_NEAR(tsr_sum_f32(x, static_cast<size_t>(n)), exact,
                m / (1 - m) * magnitude)
        << n;
  }
}

}  // namespace
