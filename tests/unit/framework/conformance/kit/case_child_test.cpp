// SPDX-License-Identifier: Apache-2.0
//
// Each case has a process of its own, with its own limits, whatever it does
// there.

#include "framework/conformance/kit/running/case_child.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cstdlib>
#include <set>
#include <string>
#include <utility>

#include "framework/host/loading/negotiate.hpp"

namespace tessera::conformance {
namespace {

using testing::HasSubstr;

Case case_of(CaseBody body) {
  Case one;
  one.id = "L1/test";
  one.run = std::move(body);
  return one;
}

CaseResult run(const Case& one) {
  KitOptions options;
  options.library = TSR_BINARY_DIR "/faulty_plugins/tsr_plugin_mutant.so";
  options.patience = 1.0;
  Result<CaseChild> child = CaseChild::start(options, "", one);
  if (!child.ok()) {
    ADD_FAILURE() << child.status().message();
    return {};
  }
  while (!child->has_ended()) {
    KitChild::wait_for_any({&child->child()}, child->seconds_left());
  }
  return child->result();
}

TEST(CaseChild, IsAnotherProcessForEachCase) {
  static int num_runs = 0;
  std::set<double> processes = {static_cast<double>(getpid())};
  for (int i = 0; i < 3; ++i) {
    const CaseResult result = run(case_of([](CaseContext& context) {
      context.add_figure("runs", ++num_runs);
      context.add_figure("process", getpid());
      return Status();
    }));
    EXPECT_EQ(result.verdict, Verdict::kPass) << result.reason;
    ASSERT_EQ(result.figures.size(), 2U);
    EXPECT_EQ(result.figures[0].value, 1.0);
    EXPECT_TRUE(processes.insert(result.figures[1].value).second);
  }
  EXPECT_EQ(num_runs, 0);
}

TEST(CaseChild, GivesBackWhatTheCaseFound) {
  const auto verdict = [](tsr_status code) {
    return run(case_of([code](CaseContext&) {
      return code == TSR_OK ? Status() : Status(code, "so it is");
    }));
  };
  EXPECT_EQ(verdict(TSR_OK).verdict, Verdict::kPass);
  EXPECT_EQ(verdict(TSR_INTERNAL).verdict, Verdict::kFail);
  EXPECT_EQ(verdict(TSR_UNAVAILABLE).verdict, Verdict::kUnsupported);
  EXPECT_EQ(verdict(TSR_DEADLINE_EXCEEDED).verdict, Verdict::kHang);
  EXPECT_EQ(verdict(TSR_INTERNAL).reason, "so it is");
}

TEST(CaseChild, ACaseWithoutAnEndHangs) {
  Case one = case_of([](CaseContext&) -> Status {
    for (;;) pause();
  });
  one.limit_seconds = 0.05;
  const CaseResult result = run(one);
  EXPECT_EQ(result.verdict, Verdict::kHang);
  EXPECT_EQ(result.reason, "no end after 0.05 s");
}

TEST(CaseChild, ACaseThatEndsItsProcessCrashes) {
  const CaseResult aborted =
      run(case_of([](CaseContext&) -> Status { std::abort(); }));
  EXPECT_EQ(aborted.verdict, Verdict::kCrash);
  EXPECT_THAT(aborted.reason, HasSubstr("Aborted"));
  const CaseResult exited =
      run(case_of([](CaseContext&) -> Status { std::_Exit(0); }));
  EXPECT_EQ(exited.verdict, Verdict::kCrash);
  EXPECT_EQ(exited.reason, "ends the process");
}

TEST(CaseChild, HasALimitOfMemory) {
  if (host_sanitizer() != TSR_SANITIZER_NONE) {
    GTEST_SKIP() << "sanitizers reserve terabytes";
  }
  const CaseResult result = run(case_of([](CaseContext& context) {
    rlimit limit{};
    getrlimit(RLIMIT_DATA, &limit);
    context.add_figure("limit", static_cast<double>(limit.rlim_max));
    return std::malloc(KitChild::memory_limit()) == nullptr
               ? Status()
               : Status(TSR_INTERNAL, "memory beyond the limit");
  }));
  EXPECT_EQ(result.verdict, Verdict::kPass) << result.reason;
  ASSERT_EQ(result.figures.size(), 1U);
  EXPECT_EQ(result.figures[0].value,
            static_cast<double>(KitChild::memory_limit()));
}

}  // namespace
}  // namespace tessera::conformance
