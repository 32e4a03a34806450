// SPDX-License-Identifier: Apache-2.0

#include "framework/conformance/reference/norm.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <vector>

#include "tests/unit/framework/conformance/reference/random_values.hpp"

namespace tessera::reference {
namespace {

TEST(RmsNorm, ByHand) {
  const std::vector<float> x = {3.0f, 4.0f, 0.0f, 0.0f};
  const std::vector<float> weight = {1.0f, 2.0f, 3.0f, 4.0f};
  std::vector<double> y(4);
  rms_norm({1, 4, x.data(), weight.data(), nullptr, 0.0f}, y.data());
  EXPECT_DOUBLE_EQ(y[0], 3.0 / 2.5);
  EXPECT_DOUBLE_EQ(y[1], 2.0 * 4.0 / 2.5);
  EXPECT_EQ(y[2], 0.0);
  rms_norm({1, 4, x.data(), weight.data(), nullptr, 2.75f}, y.data());
  EXPECT_DOUBLE_EQ(y[0], 1.0);  // sqrt(6.25 + 2.75) = 3
}

TEST(RmsNorm, OfZerosIsZeros) {
  const std::vector<float> x(3, 0.0f);
  const std::vector<float> weight(3, 1.0f);
  std::vector<float> y(3, 9.0f);
  rms_norm({1, 3, x.data(), weight.data(), nullptr, 1e-6f}, y.data());
  EXPECT_EQ(y, x);
}

// A normalized row has mean 0 and mean square 1 (less by eps / var), whatever
// its own mean; then weight and bias.
TEST(LayerNorm, RowsHaveMeanZeroAndUnitVariance) {
  std::mt19937 rng(42);
  const size_t D = 77;
  std::vector<float> x = normal_values(rng, 2 * D);
  for (size_t i = 0; i < D; ++i) x[D + i] += 1000.0f;
  const std::vector<float> ones(D, 1.0f);
  std::vector<double> y(2 * D);
  layer_norm({2, D, x.data(), ones.data(), nullptr, 1e-12f}, y.data());
  for (size_t row = 0; row < 2; ++row) {
    double mean = 0.0;
    double square = 0.0;
    for (size_t i = 0; i < D; ++i) {
      mean += y[row * D + i] / static_cast<double>(D);
      square += y[row * D + i] * y[row * D + i] / static_cast<double>(D);
    }
    EXPECT_NEAR(mean, 0.0, 1e-12);
    EXPECT_NEAR(square, 1.0, 1e-11);
  }
  const std::vector<float> weight = normal_values(rng, D);
  const std::vector<float> bias = normal_values(rng, D);
  std::vector<double> z(2 * D);
  layer_norm({2, D, x.data(), weight.data(), bias.data(), 1e-12f}, z.data());
  for (size_t i = 0; i < 2 * D; ++i) {
    EXPECT_NEAR(z[i], y[i] * weight[i % D] + bias[i % D], 1e-14);
  }
}

}  // namespace
}  // namespace tessera::reference
