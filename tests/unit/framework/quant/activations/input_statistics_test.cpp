// SPDX-License-Identifier: Apache-2.0
//
// Streamed statistics against sums over all rows in f64.

#include "framework/quant/activations/input_statistics.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include "framework/host/services/thread_pool.hpp"
#include "tests/unit/framework/quant/random_values.hpp"

namespace tessera::quant {
namespace {

InputStatistics make_statistics(uint32_t K, bool with_hessian = true) {
  auto statistics = InputStatistics::create(K, with_hessian);
  EXPECT_TRUE(statistics.ok());
  return *statistics;
}

TEST(InputStatistics, HessianIsTwoOverNTimesTheSumOfProducts) {
  const uint32_t M = 531;
  const uint32_t K = 300;
  const std::vector<float> x = correlated_rows(M, K);
  InputStatistics statistics = make_statistics(K);
  ASSERT_TRUE(statistics.add(x, run_serially()).ok());
  const auto hessian = std::move(statistics).take_hessian(run_serially());
  ASSERT_TRUE(hessian.ok());
  for (uint32_t i = 0; i < K; ++i) {
    for (uint32_t j = 0; j < K; ++j) {
      double sum = 0.0;
      double magnitude = 0.0;
      for (uint32_t m = 0; m < M; ++m) {
        const double product =
            double{x[size_t{m} * K + i]} * double{x[size_t{m} * K + j]};
        sum += 2.0 / M * product;
        magnitude += 2.0 / M * std::fabs(product);
      }
      // gamma_M of a dot product: Higham, 2nd ed., section 3.1.
      ASSERT_NEAR(hessian->values[size_t{i} * K + j], sum,
                  (M + 2) * 0x1p-24 * magnitude)
          << i << ", " << j;
      ASSERT_EQ(hessian->values[size_t{i} * K + j],
                hessian->values[size_t{j} * K + i]);
    }
  }
}

TEST(InputStatistics, ColumnsMatchSumsOverAllRows) {
  const std::vector<float> x = {1.0f, -4.0f, 2.0f, 0.5f, -3.0f, 1.5f};
  InputStatistics statistics = make_statistics(2, false);
  ASSERT_TRUE(statistics.add(x, run_serially()).ok());
  const ColumnStatistics& columns = statistics.columns();
  EXPECT_EQ(columns.num_rows, 3U);
  EXPECT_EQ(columns.abs_max, (std::vector<float>{3.0f, 4.0f}));
  EXPECT_EQ(columns.min, (std::vector<float>{-3.0f, -4.0f}));
  EXPECT_EQ(columns.max, (std::vector<float>{2.0f, 1.5f}));
  EXPECT_EQ(columns.sum, (std::vector<double>{0.0, -2.0}));
  EXPECT_EQ(columns.sum_abs, (std::vector<double>{6.0, 6.0}));
  EXPECT_EQ(columns.sum_squares, (std::vector<double>{14.0, 18.5}));
  EXPECT_EQ(columns.mean_abs(), (std::vector<float>{2.0f, 2.0f}));
}

TEST(InputStatistics, BatchesAndThreadsChangeNoBit) {
  const uint32_t M = 600;
  const uint32_t K = 260;
  const std::vector<float> x = correlated_rows(M, K);
  InputStatistics whole = make_statistics(K);
  ASSERT_TRUE(whole.add(x, run_serially()).ok());
  InputStatistics pieces = make_statistics(K);
  ThreadPool pool(2);
  const std::span<const float> rows(x);
  for (size_t m = 0; m < M; m += 7) {
    const size_t count = std::min<size_t>(7, M - m);
    ASSERT_TRUE(pieces.add(rows.subspan(m * K, count * K), run_on(pool)).ok());
  }
  EXPECT_EQ(whole.columns().sum_squares, pieces.columns().sum_squares);
  EXPECT_EQ(std::move(whole).take_hessian(run_serially())->values,
            std::move(pieces).take_hessian(run_on(pool))->values);
}

TEST(InputStatistics, NamesTheRowAndColumnOfNan) {
  InputStatistics statistics = make_statistics(3);
  std::vector<float> x(6, 1.0f);
  ASSERT_TRUE(statistics.add(x, run_serially()).ok());
  x[4] = std::numeric_limits<float>::quiet_NaN();
  const Status status = statistics.add(x, run_serially());
  EXPECT_EQ(status.code(), TSR_INVALID_ARGUMENT);
  EXPECT_EQ(status.message(), "activation row 3: column 1 is NaN");
  EXPECT_EQ(statistics.columns().num_rows, 2U);
}

TEST(InputStatistics, RefusesAnEmptyCalibration) {
  const auto hessian = make_statistics(3).take_hessian(run_serially());
  EXPECT_EQ(hessian.status().code(), TSR_FAILED_PRECONDITION);
  EXPECT_EQ(hessian.status().message(),
            "no hessian: the calibration set gave no activations");
}

TEST(InputStatistics, RefusesRowsOfAnotherWidth) {
  const std::vector<float> x(7, 1.0f);
  EXPECT_EQ(make_statistics(3).add(x, run_serially()).message(),
            "7 activations are no rows of K=3");
  EXPECT_FALSE(InputStatistics::create(0, true).ok());
  EXPECT_FALSE(InputStatistics::create(70000, true).ok());
}

}  // namespace
}  // namespace tessera::quant
