// SPDX-License-Identifier: Apache-2.0

#include "framework/conformance/kit/running/runner.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <string>
#include <utility>
#include <vector>

namespace tessera::conformance {
namespace {

using testing::HasSubstr;

const std::string kMutant =
    TSR_BINARY_DIR "/faulty_plugins/tsr_plugin_mutant.so";

class Runner : public testing::Test {
 protected:
  ~Runner() override { unsetenv("TSR_MUTANT"); }
  static KitReport run(const std::string& filter, const char* fault = nullptr,
                       std::vector<DeclaredFailure> declared = {},
                       uint32_t num_lanes = 1) {
    if (fault != nullptr) setenv("TSR_MUTANT", fault, 1);
    KitOptions options;
    options.library = kMutant;
    options.cases.quick = true;
    options.filter = filter;
    options.declared = std::move(declared);
    options.num_lanes = num_lanes;
    Result<KitReport> report = run_kit(options);
    EXPECT_TRUE(report.ok());
    return report.ok() ? *report : KitReport();
  }
};

TEST(Pattern, StarIsAnyTextAndQuestionMarkOneCharacter) {
  EXPECT_TRUE(matches("*", ""));
  EXPECT_TRUE(matches("L1/*_bias*", "L1/linear/M1_bias_silu"));
  EXPECT_FALSE(matches("L1/*_bias", "L1/linear/M1_bias_silu"));
  EXPECT_TRUE(matches("a?c", "abc"));
  EXPECT_FALSE(matches("a?c", "ac"));
  EXPECT_TRUE(matches("*a*b", "aab"));
}

TEST(Declarations, NameTheLineThatIsWrong) {
  const auto good =
      parse_declarations("# known\nexpected_failure L1/add/* #41 rounding\n\n");
  ASSERT_TRUE(good.ok());
  ASSERT_EQ(good->size(), 1U);
  EXPECT_EQ((*good)[0].reason, "#41 rounding");
  const auto bad = parse_declarations("\nexpected_failure L1/add/*\n");
  EXPECT_THAT(bad.status().message(), HasSubstr("line 2"));
}

TEST_F(Runner, NothingExecutedIsNoPass) {
  EXPECT_FALSE(run("no such case").passed());
}

// However little time there is, something of every kind is run, and the rest is
// counted.
TEST_F(Runner, SaysWhatItLeftOut) {
  KitOptions options;
  options.library = kMutant;
  options.cases.quick = true;
  const auto ids = list_cases(options);
  ASSERT_TRUE(ids.ok()) << ids.status().message();
  options.budget_seconds = 1e-9;
  const auto report = run_kit(options);
  ASSERT_TRUE(report.ok());
  EXPECT_TRUE(report->passed());
  EXPECT_FALSE(report->is_complete());
  EXPECT_GT(report->left_out, 0U);
  EXPECT_EQ(report->results.size() - 1 + report->left_out, ids->size());
  for (const uint32_t level : {0U, 1U, 2U}) {
    EXPECT_GT(report->count(level, Verdict::kPass), 0U) << level;
  }
  std::vector<std::string> in_order = *ids;
  in_order.insert(in_order.begin(), "L0/load");
  auto place = in_order.begin();
  for (const CaseResult& result : report->results) {
    place = std::find(place, in_order.end(), result.id);
    ASSERT_NE(place, in_order.end()) << result.id;
  }
}

TEST_F(Runner, GoesOnAfterACaseThatCrashes) {
  const KitReport all = run("L1/add/*", "aborts");
  EXPECT_FALSE(all.passed());
  EXPECT_GT(all.count(Verdict::kCrash), 1U);
  EXPECT_EQ(all.count(Verdict::kPass), 0U);
  const KitReport some = run("L1/*d/*", "crashes_on_second_step");
  EXPECT_GT(some.count(Verdict::kCrash), 1U);
}

std::vector<std::pair<std::string, Verdict>> verdicts_of(
    const KitReport& report) {
  std::vector<std::pair<std::string, Verdict>> verdicts;
  for (const CaseResult& result : report.results) {
    verdicts.emplace_back(result.id, result.verdict);
  }
  return verdicts;
}

// More lanes than cases among them; a lane goes on after a crash of its own.
TEST_F(Runner, SideBySideFindsTheSameInTheSameOrder) {
  for (const char* fault : {"none", "aborts"}) {
    const KitReport alone = run("L1/add/M5*", fault);
    EXPECT_GT(alone.results.size(), 3U);
    EXPECT_EQ(alone.passed(), std::string(fault) == "none");
    for (const uint32_t lanes : {2U, 64U}) {
      const KitReport report = run("L1/add/M5*", fault, {}, lanes);
      EXPECT_EQ(verdicts_of(report), verdicts_of(alone)) << lanes;
      EXPECT_EQ(report.left_out, 0U);
    }
  }
}

TEST_F(Runner, NamesTheTensorBehindWhichAPluginWrote) {
  const KitReport report =
      run("L1/add/M5_N64_x.f32_y.f32", "writes_far_past_end");
  ASSERT_EQ(report.count(Verdict::kCrash), 1U);
  EXPECT_THAT(report.results.back().reason,
              HasSubstr("past the end of tensor y"));
}

TEST_F(Runner, AFailureThatWasDeclaredIsExpected) {
  const std::vector<DeclaredFailure> declared = {{"L1/rms_norm/*", "#7"}};
  const KitReport failing = run("L1/r*", "rms_sums", declared);
  EXPECT_EQ(failing.count(Verdict::kFail), 0U);
  EXPECT_GT(failing.count(Verdict::kExpectedFailure), 0U);
  EXPECT_TRUE(failing.passed() || failing.count(Verdict::kUnexpectedPass) > 0);
}

TEST_F(Runner, ADeclaredFailureThatPassesIsAnError) {
  const KitReport report = run("L1/add/*", nullptr, {{"L1/add/*", "#7"}});
  EXPECT_GT(report.count(Verdict::kUnexpectedPass), 0U);
  EXPECT_FALSE(report.passed());
}

TEST_F(Runner, RerunsOneCaseInThisProcess) {
  KitOptions options;
  options.library = kMutant;
  options.cases.quick = true;
  const auto passing = run_case_here(options, "L1/add/M5_N64_x.f32_y.f32");
  ASSERT_TRUE(passing.ok()) << passing.status().message();
  EXPECT_EQ(passing->verdict, Verdict::kPass) << passing->reason;
  EXPECT_EQ(run_case_here(options, "L1/none").status().code(), TSR_NOT_FOUND);
}

}  // namespace
}  // namespace tessera::conformance
