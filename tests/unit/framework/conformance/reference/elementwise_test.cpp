// SPDX-License-Identifier: Apache-2.0

#include "framework/conformance/reference/elementwise.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "tessera/ops.h"

namespace tessera::reference {
namespace {

const std::vector<float> kPoints = {-100.0f, -20.0f, -6.0f, -1.0f, -1e-20f,
                                    0.0f,    1e-5f,  0.5f,  3.0f,  30.0f};

TEST(Elementwise, AddRoundsOnce) {
  const float a[] = {1.0f, 1e8f};
  const float b[] = {0x1p-24f, 1.0f};
  double exact[2];
  float rounded[2];
  add(a, b, 2, exact);
  add(a, b, 2, rounded);
  EXPECT_EQ(exact[0], 1.0 + 0x1p-24);
  EXPECT_EQ(exact[1], 100000001.0);
  EXPECT_EQ(rounded[0], 1.0f);
  EXPECT_EQ(rounded[1], 1e8f);
}

// sigmoid(x) = (1 + tanh(x / 2)) / 2.
TEST(Elementwise, SiluIsXTimesSigmoid) {
  std::vector<double> y(kPoints.size());
  const std::vector<float> twos(kPoints.size(), 2.0f);
  silu_mul(kPoints.data(), twos.data(), kPoints.size(), y.data());
  for (size_t i = 0; i < kPoints.size(); ++i) {
    const double x = kPoints[i];
    EXPECT_NEAR(y[i], 2.0 * x * (1.0 + std::tanh(x / 2.0)) / 2.0,
                1e-14 * std::fabs(x));
  }
  EXPECT_EQ(silu(-1000.0), 0.0);
  EXPECT_EQ(silu(1000.0), 1000.0);
}

TEST(Elementwise, GeluIsXTimesThePhiItIsNamedAfter) {
  std::vector<double> erf(kPoints.size());
  std::vector<double> tanh(kPoints.size());
  gelu(kPoints.data(), kPoints.size(), TSR_EPILOGUE_GELU_ERF, erf.data());
  gelu(kPoints.data(), kPoints.size(), TSR_EPILOGUE_GELU_TANH, tanh.data());
  for (size_t i = 0; i < kPoints.size(); ++i) {
    const double x = kPoints[i];
    EXPECT_NEAR(erf[i], x * (1.0 + std::erf(x / std::sqrt(2.0))) / 2.0,
                1e-14 * std::fabs(x));
    const double t = std::sqrt(2.0 / M_PI) * (x + 0.044715 * x * x * x);
    EXPECT_NEAR(tanh[i], x * (1.0 + std::tanh(t)) / 2.0, 1e-14 * std::fabs(x));
    // Hendrycks and Gimpel's approximation is within 5e-4 of the exact one.
    EXPECT_NEAR(tanh[i], erf[i], 5e-4);
  }
}

// -6 Phi(-6), from tables of the normal distribution.
TEST(Elementwise, GeluKeepsItsDigitsInTheTail) {
  EXPECT_NEAR(gelu_erf(-6.0), -6.0 * 9.865876450377e-10, 1e-20);
}

}  // namespace
}  // namespace tessera::reference
