// SPDX-License-Identifier: Apache-2.0

#include "framework/cli/run/profile.hpp"

#include <gtest/gtest.h>

#include <cstring>

namespace tessera::cli {
namespace {

tsr_kernel_record record(const char* kernel, uint64_t ns,
                         uint32_t clock = TSR_CLOCK_WALL) {
  tsr_kernel_record made{};
  made.clock = clock;
  made.begin_ns = 100;
  made.end_ns = 100 + ns;
  std::strncpy(made.kernel, kernel, sizeof(made.kernel) - 1);
  return made;
}

TEST(Profile, SumsCallsOfOneKernelLargestFirst) {
  const auto totals = sum_kernels(
      std::vector{record("a", 10), record("b", 70), record("a", 20)});
  ASSERT_EQ(totals.size(), 2U);
  EXPECT_EQ(totals[0].kernel, "b");
  EXPECT_EQ(totals[1].calls, 2U);
  EXPECT_EQ(totals[1].total_ns, 30U);
  EXPECT_DOUBLE_EQ(totals[1].share, 0.3);
}

TEST(Profile, NeverAddsTimesOfDifferentClocks) {
  const auto totals = sum_kernels(
      std::vector{record("a", 10), record("a", 90, TSR_CLOCK_SIMULATED)});
  ASSERT_EQ(totals.size(), 2U);
  EXPECT_DOUBLE_EQ(totals[0].share, 1.0);
  EXPECT_DOUBLE_EQ(totals[1].share, 1.0);
}

TEST(Profile, ReadsANameThatFillsItsField) {
  tsr_kernel_record full = record("", 1);
  std::memset(full.kernel, 'x', sizeof(full.kernel));
  const auto totals = sum_kernels({&full, 1});
  EXPECT_EQ(totals[0].kernel, std::string(sizeof(full.kernel), 'x'));
}

TEST(Profile, NoTimeIsNoDivisionByZero) {
  const auto totals = sum_kernels(std::vector{record("a", 0)});
  EXPECT_DOUBLE_EQ(totals[0].share, 0.0);
}

TEST(Profile, JsonNamesTheKeysOfTheTable) {
  const Json json = kernels_json(sum_kernels(std::vector{record("a", 10)}));
  for (const char* key : {"kernel", "clock", "calls", "total_ns", "share"}) {
    EXPECT_TRUE(json[0].contains(key)) << key;
  }
}

TEST(Profile, BudgetGrowsWithProgramsOnly) {
  EXPECT_EQ(host_budget_ns(1), 12'000U);
  EXPECT_EQ(host_budget_ns(3), 16'000U);
}

}  // namespace
}  // namespace tessera::cli
