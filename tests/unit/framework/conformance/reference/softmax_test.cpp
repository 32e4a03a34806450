// SPDX-License-Identifier: Apache-2.0

#include "framework/conformance/reference/attention/softmax.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

namespace tessera::reference {
namespace {

TEST(Softmax, RowsAreRatiosOfExponentials) {
  const std::vector<float> x = {0.0f, 1.0f, 2.0f, -1.0f, 4.0f, 4.0f};
  std::vector<double> y(6);
  softmax(x.data(), 2, 3, 0.5f, y.data());
  for (size_t row = 0; row < 2; ++row) {
    const double* p = &y[row * 3];
    EXPECT_DOUBLE_EQ(p[0] + p[1] + p[2], 1.0);
    for (size_t i = 1; i < 3; ++i) {
      EXPECT_NEAR(p[i] / p[0], std::exp(0.5 * (x[row * 3 + i] - x[row * 3])),
                  1e-12);
    }
  }
}

TEST(Softmax, LargeValuesDoNotOverflow) {
  const std::vector<float> x = {3e38f, -3e38f};
  std::vector<float> y(2);
  softmax(x.data(), 1, 2, 1.0f, y.data());
  EXPECT_EQ(y, (std::vector<float>{1.0f, 0.0f}));
}

TEST(Softmax, OfOneElementIsOne) {
  const float x = -7.0f;
  double y = 0.0;
  softmax(&x, 1, 1, 2.0f, &y);
  EXPECT_EQ(y, 1.0);
}

}  // namespace
}  // namespace tessera::reference
