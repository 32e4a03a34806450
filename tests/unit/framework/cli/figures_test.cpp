// SPDX-License-Identifier: Apache-2.0

#include "framework/cli/figures.hpp"

#include <gtest/gtest.h>

#include <limits>

namespace tessera::cli {
namespace {

TEST(Figures, NumbersKeepThreeSignificantDigits) {
  EXPECT_EQ(number_text(0.0), "0");
  EXPECT_EQ(number_text(0.0123456), "0.0123");
  EXPECT_EQ(number_text(4.5678), "4.57");
  EXPECT_EQ(number_text(45.678), "45.7");
  EXPECT_EQ(number_text(1234.5), "1234");
  EXPECT_EQ(number_text(-4.5678), "-4.57");
  EXPECT_EQ(number_text(1e-9), "1.00e-09");
  EXPECT_EQ(number_text(std::numeric_limits<double>::infinity()), "inf");
}

TEST(Figures, BytesUsePowersOfThousand) {
  EXPECT_EQ(bytes_text(0), "0 B");
  EXPECT_EQ(bytes_text(999), "999 B");
  EXPECT_EQ(bytes_text(1000), "1.00 kB");
  EXPECT_EQ(bytes_text(10'493'184), "10.5 MB");
  EXPECT_EQ(bytes_text(999'600'000), "1.00 GB");
  EXPECT_EQ(bytes_text(UINT64_MAX), "18446744 TB");
}

TEST(Figures, DurationsChooseTheirUnit) {
  EXPECT_EQ(duration_text(12), "12.0 ns");
  EXPECT_EQ(duration_text(12'345), "12.3 us");
  EXPECT_EQ(duration_text(12'345'678), "12.3 ms");
  EXPECT_EQ(duration_text(12'345'678'901.0), "12.3 s");
}

TEST(Figures, IntervalsShareTheDigitsOfTheirFigure) {
  EXPECT_EQ(interval_text({12.345, 12.3, 12.41}), "12.3 [12.3, 12.4]");
  EXPECT_EQ(interval_text({0.5, 0.25, 0.75}, 100.0), "50.0 [25.0, 75.0]");
  EXPECT_EQ(interval_text({2e-7, 1e-7, 3e-7}), "2.00e-07 [1.00e-07, 3.00e-07]");
}

TEST(Figures, NoTimeGivesNoRate) {
  EXPECT_EQ(per_second(10, 0), 0.0);
  EXPECT_EQ(per_second(10, 2'000'000'000), 5.0);
  EXPECT_EQ(rate_text(0.0), "-");
  EXPECT_EQ(rate_text(123.4), "123 tokens/s");
}

}  // namespace
}  // namespace tessera::cli
