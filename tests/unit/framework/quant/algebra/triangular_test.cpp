// SPDX-License-Identifier: Apache-2.0
//
// The blocked factorization against its defining equations, in f64.

#include "framework/quant/algebra/triangular.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <vector>

#include "framework/host/services/thread_pool.hpp"
#include "tests/unit/framework/quant/random_values.hpp"

namespace tessera::quant {
namespace {

// X^T X / M + I: condition number below 2 + trace, so that f32 keeps at least
// four digits.
std::vector<float> positive_definite(uint32_t K) {
  const uint32_t M = K + 3;
  const std::vector<float> x = normal_values(size_t{M} * K);
  std::vector<float> a(size_t{K} * K);
  for (uint32_t i = 0; i < K; ++i) {
    for (uint32_t j = 0; j <= i; ++j) {
      double sum = i == j ? 1.0 : 0.0;
      for (uint32_t m = 0; m < M; ++m) {
        sum += double{x[size_t{m} * K + i]} * double{x[size_t{m} * K + j]} / M;
      }
      a[size_t{i} * K + j] = a[size_t{j} * K + i] = static_cast<float>(sum);
    }
  }
  return a;
}

// Rounding of K products and the backward error of Cholesky, gamma_K times the
// diagonal, times the condition number of positive_definite (about 6).
// Source: Higham, Accuracy and Stability, 2nd ed., theorem 10.3.
double tolerance(uint32_t K) { return 6.0 * (K + 2.0) * 0x1p-24 * 6.0; }

class Triangular : public testing::TestWithParam<uint32_t> {};

TEST_P(Triangular, LowerFactorTimesItsTransposeIsTheMatrix) {
  const uint32_t K = GetParam();
  const std::vector<float> a = positive_definite(K);
  std::vector<float> l = a;
  ASSERT_TRUE(factor_lower(K, l, run_serially()).ok());
  for (uint32_t i = 0; i < K; ++i) {
    for (uint32_t j = 0; j <= i; ++j) {
      double sum = 0.0;
      for (uint32_t k = 0; k <= j; ++k) {
        sum += double{l[size_t{i} * K + k]} * double{l[size_t{j} * K + k]};
      }
      ASSERT_NEAR(sum, a[size_t{i} * K + j], tolerance(K)) << i << ", " << j;
    }
    for (uint32_t j = i + 1; j < K; ++j) {
      ASSERT_EQ(l[size_t{i} * K + j], a[size_t{i} * K + j]) << "above";
    }
  }
}

TEST_P(Triangular, UpperFactorSquaredIsTheInverse) {
  const uint32_t K = GetParam();
  const std::vector<float> a = positive_definite(K);
  std::vector<float> u = a;
  ASSERT_TRUE(inverse_upper_factor(K, u, run_serially()).ok());
  // U A U^T = I, as A^-1 = U^T U.
  std::vector<double> ua(size_t{K} * K, 0.0);
  for (uint32_t i = 0; i < K; ++i) {
    for (uint32_t k = 0; k < K; ++k) {
      const double factor = u[size_t{i} * K + k];
      ASSERT_TRUE(k >= i || factor == 0.0) << i << ", " << k;
      for (uint32_t j = 0; j < K; ++j) {
        ua[size_t{i} * K + j] += factor * double{a[size_t{k} * K + j]};
      }
    }
  }
  for (uint32_t i = 0; i < K; ++i) {
    for (uint32_t j = 0; j < K; ++j) {
      double sum = 0.0;
      for (uint32_t k = 0; k < K; ++k) {
        sum += ua[size_t{i} * K + k] * double{u[size_t{j} * K + k]};
      }
      ASSERT_NEAR(sum, i == j ? 1.0 : 0.0, tolerance(K)) << i << ", " << j;
    }
  }
}

TEST_P(Triangular, ThreadsChangeNoBit) {
  const uint32_t K = GetParam();
  std::vector<float> serial = positive_definite(K);
  std::vector<float> parallel = serial;
  ThreadPool pool(3);
  ASSERT_TRUE(inverse_upper_factor(K, serial, run_serially()).ok());
  ASSERT_TRUE(inverse_upper_factor(K, parallel, run_on(pool)).ok());
  EXPECT_EQ(serial, parallel);
}

// Around the panel of 128 columns and the task of 256 rows.
INSTANTIATE_TEST_SUITE_P(Sizes, Triangular,
                         testing::Values(1U, 2U, 127U, 128U, 129U, 300U, 385U));

TEST(Triangular, LeavesAMatrixThatIsNotPositiveDefiniteAsItWas) {
  const uint32_t K = 200;
  std::vector<float> a = positive_definite(K);
  a[size_t{3} * K + 3] = -1.0f;
  const std::vector<float> before = a;
  const Status status = inverse_upper_factor(K, a, run_serially());
  EXPECT_EQ(status.code(), TSR_FAILED_PRECONDITION);
  EXPECT_EQ(status.message(), "not positive definite at column 196 of 200");
  EXPECT_EQ(a, before);
}

}  // namespace
}  // namespace tessera::quant
