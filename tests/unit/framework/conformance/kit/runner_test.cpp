// SPDX-License-Identifier: Apache-2.0

#include "framework/conformance/kit/running/runner.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include "framework/host/loading/negotiate.hpp"

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
                       uint32_t num_jobs = 1) {
    if (fault != nullptr) setenv("TSR_MUTANT", fault, 1);
    KitOptions options;
    options.library = kMutant;
    options.cases.quick = true;
    options.filter = filter;
    options.declared = std::move(declared);
    options.num_jobs = num_jobs;
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

// Its kernels for add and silu_mul are the one that it made first, once both
// were asked for in one process.
TEST_F(Runner, WhatACaseLeavesBehindReachesNoOther) {
  const std::string cases = "L1/*/M5_N64_x.f32_y.f32";
  const KitReport sound = run(cases, "none");
  EXPECT_GT(sound.count(Verdict::kPass), 3U);
  EXPECT_EQ(verdicts_of(run(cases, "kernel_of_first_width")),
            verdicts_of(sound));
  const KitReport together =
      run("L2/one_after_another/row_op", "kernel_of_first_width");
  ASSERT_EQ(together.count(Verdict::kFail), 1U);
  EXPECT_THAT(together.results.back().reason, HasSubstr("other ops"));
}

TEST_F(Runner, ACaseThatWantsAllMemoryCrashesAlone) {
  if (host_sanitizer() != TSR_SANITIZER_NONE) {
    GTEST_SKIP() << "sanitizers reserve terabytes";
  }
  const std::string cases = "L1/*/M5_N64_x.f32_y.f32";
  const KitReport report = run(cases, "wants_all_memory");
  EXPECT_EQ(report.count(Verdict::kCrash), 1U);
  EXPECT_EQ(report.count(Verdict::kPass),
            run(cases, "none").count(Verdict::kPass) - 1);
}

TEST_F(Runner, ADeviceThatCrashesWhenClosedFailsTheCaseThatOpenedIt) {
  const KitReport report =
      run("L1/add/M5_N64_x.f32_y.f32", "crashes_when_closed");
  ASSERT_EQ(report.count(Verdict::kCrash), 1U);
  EXPECT_THAT(report.results.back().reason, HasSubstr("closing the device: "));
}

// All cases must have met the same library.
TEST_F(Runner, ALibraryThatIsExchangedInTheMiddleFails) {
  const std::string copy = testing::TempDir() + "tsr_plugin_exchanged.so";
  std::filesystem::copy_file(kMutant, copy,
                             std::filesystem::copy_options::overwrite_existing);
  KitOptions options;
  options.library = copy;
  options.filter = "L0/*";
  bool is_exchanged = false;
  options.progress = [&](const CaseResult&) {
    if (!std::exchange(is_exchanged, true)) {
      std::ofstream(copy, std::ios::app) << "another build";
    }
  };
  const auto report = run_kit(options);
  std::filesystem::remove(copy);
  ASSERT_TRUE(report.ok());
  EXPECT_TRUE(is_exchanged);
  ASSERT_EQ(report->count(Verdict::kFail), 1U);
  EXPECT_EQ(report->results[1].id, "L0/unchanged");
  EXPECT_EQ(report->results[1].verdict, Verdict::kFail);
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
