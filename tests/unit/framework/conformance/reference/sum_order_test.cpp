// SPDX-License-Identifier: Apache-2.0

#include "framework/conformance/reference/sum_order.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <vector>

#include "framework/conformance/reference/norm.hpp"
#include "tests/unit/framework/conformance/reference/random_values.hpp"

namespace tessera::reference {
namespace {

constexpr SumOrder kOrders[] = {SumOrder::kDouble, SumOrder::kF32Ascending,
                                SumOrder::kF32Descending};

// 2^24 + 1 is no f32, so what comes after 2^24 is lost and what comes before it
// is not.
TEST(SumOrder, F32OrdersRoundEverySum) {
  const std::vector<double> terms = {0x1p24, 1.0, 1.0};
  const auto term = [&](size_t i) { return terms[i]; };
  EXPECT_EQ(sum_terms(SumOrder::kDouble, 3, term), 0x1p24 + 2.0);
  EXPECT_EQ(sum_terms(SumOrder::kF32Ascending, 3, term), 0x1p24);
  EXPECT_EQ(sum_terms(SumOrder::kF32Descending, 3, term), 0x1p24 + 2.0);
}

TEST(SumOrder, OfNothingIsZero) {
  for (const SumOrder order : kOrders) {
    EXPECT_EQ(sum_terms(order, 0, [](size_t) { return 1.0; }), 0.0);
  }
}

// Higham, Accuracy and Stability of Numerical Algorithms, eq. 3.5: a sum of n
// products is off by at most gamma(n) * sum |term|.
TEST(SumOrder, StaysWithinTheBound) {
  std::mt19937 rng(42);
  for (const size_t n : {1, 2, 77, 1000}) {
    const std::vector<float> a = normal_values(rng, n);
    const std::vector<float> b = normal_values(rng, n);
    const auto term = [&](size_t i) { return double{a[i]} * b[i]; };
    double magnitude = 0.0;
    for (size_t i = 0; i < n; ++i) magnitude += std::abs(term(i));
    const double nu = static_cast<double>(n) * 0x1p-24;
    const double bound = nu / (1.0 - nu) * magnitude;
    const double exact = sum_terms(SumOrder::kDouble, n, term);
    for (const SumOrder order : kOrders) {
      EXPECT_NEAR(sum_terms(order, n, term), exact, bound) << n;
    }
  }
}

TEST(SumOrder, ReachesTheNorms) {
  const std::vector<float> x = {4096.0f, 1.0f, 1.0f};
  const std::vector<float> ones(3, 1.0f);
  const auto norm_of = [&](SumOrder order) {
    Norm p{1, 3, x.data(), ones.data(), nullptr, 0.0f, order};
    std::vector<double> y(3);
    rms_norm(p, y.data());
    return y[1];
  };
  EXPECT_EQ(norm_of(SumOrder::kF32Ascending), 1.0 / std::sqrt(0x1p24 / 3.0));
  EXPECT_EQ(norm_of(SumOrder::kF32Descending),
            1.0 / std::sqrt((0x1p24 + 2.0) / 3.0));
}

}  // namespace
}  // namespace tessera::reference
