// SPDX-License-Identifier: Apache-2.0

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "framework/planner/planner.hpp"
#include "framework/planner/problem/problem_file.hpp"
#include "tests/unit/framework/planner/small_problem.hpp"

namespace tessera::planner {
namespace {

using ::testing::HasSubstr;

// `text` with the first `from` replaced.
std::string changed(std::string text, const std::string& from,
                    const std::string& to) {
  const size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return text.replace(at, from.size(), to);
}

Problem full_problem() {
  Problem problem = small_problem();
  problem.limits = {0.02, 1e9, 1e8};
  problem.rules = {{"layers.0*", "big", "half", true}};
  problem.split_phases = true;
  problem.objective = Objective::kThroughput;
  problem.base_scheme = "bf16";
  problem.kv = "int8";
  problem.transfers[0].return_ns = {70.0, 7.0};
  problem.transfers[1].overlap = 0.25;
  return problem;
}

TEST(ProblemFile, ReadsWhatItWrote) {
  const std::string text = write_problem(full_problem());
  const auto read = read_problem(text, "p.json");
  ASSERT_TRUE(read.ok()) << read.status().message();
  EXPECT_EQ(write_problem(*read), text);
}

TEST(ProblemFile, PlansTheSameWithNoDevicePresent) {
  const Problem problem = small_problem();
  const auto read = read_problem(write_problem(problem), "p.json");
  ASSERT_TRUE(read.ok());
  const auto here = make_plan(problem, {});
  const auto there = make_plan(*read, {});
  ASSERT_TRUE(here.ok() && there.ok());
  EXPECT_EQ(write_plan(here->file), write_plan(there->file));
}

TEST(ProblemFile, SaysWhatRunsBesideTheLinears) {
  const auto read = read_problem(write_problem(full_problem()), "p.json");
  ASSERT_TRUE(read.ok());
  const auto made = make_plan(*read, {});
  ASSERT_TRUE(made.ok()) << made.status().message();
  EXPECT_EQ(made->file.base_scheme, "bf16");
  EXPECT_EQ(made->file.kv, "int8");
  EXPECT_EQ(made->file.objective, "throughput");
}

// Files of before had no such keys.
TEST(ProblemFile, MayLeaveThatOut) {
  std::string text = write_problem(small_problem());
  text = changed(std::move(text), "\"base_scheme\": \"\",", "");
  const auto read =
      read_problem(changed(std::move(text), "\"kv\": \"\",", ""), "p.json");
  ASSERT_TRUE(read.ok()) << read.status().message();
  EXPECT_EQ(read->base_scheme, "");
}

TEST(ProblemFile, NamesWhatIsWrong) {
  const std::string text = write_problem(full_problem());
  const struct {
    const char* from;
    const char* to;
    const char* message;
  } cases[] = {
      {"\"version\": 1", "\"version\": 2", "version is not 1"},
      {"\"throughput\"", "\"speed\"", "not one of latency"},
      {"\"generate\": 4", "\"generate\": -4", "generate is not a whole number"},
      {"\"pool\": \"fast\"", "\"pool\": \"slow\"", "slow"},
      {"\"clock\": \"wall\"", "\"clock\": \"sun\"", "neither wall nor"},
      {"\"ns\": 150.0", "\"ns\": -1.0", "ns is not a number of at least 0"},
      {"\"bytes\": 1000,", "\"bytes\": 0,", "rising bytes"},
      {"\"scheme\": \"exact\"", "\"scheme\": \"x\"", "scheme is not listed"},
      {"\"layer\": 0", "\"layer\": \"a\"", "layer is not a whole number"},
      {"\"kl\": 0.02", "\"kl\": null", "kl is not a number"},
      {"\"overlap\": 0.0", "\"overlap\": 1.5", "overlap 1.5 is not within"},
  };
  for (const auto& one : cases) {
    const auto read = read_problem(changed(text, one.from, one.to), "p.json");
    ASSERT_FALSE(read.ok()) << one.to;
    EXPECT_EQ(read.status().code(), TSR_INVALID_ARGUMENT);
    EXPECT_THAT(read.status().message(), HasSubstr("p.json"));
    EXPECT_THAT(read.status().message(), HasSubstr(one.message));
  }
  EXPECT_FALSE(read_problem("", "p.json").ok());
  EXPECT_FALSE(read_problem("[]", "p.json").ok());
  EXPECT_FALSE(read_problem("{}", "p.json").ok());
}

TEST(PlanFile, ReadsWhatItWrote) {
  auto made = make_plan(small_problem(), {});
  ASSERT_TRUE(made.ok());
  made->file.base_scheme = "f32";
  made->file.kv = "int8";
  made->file.kl_limit = 0.02;
  made->file.kl_measured = 0.01;
  made->file.kl_measured_ci95 = {0.008, 0.012};
  const std::string text = write_plan(made->file);
  const auto read = read_plan(text, "plan.json");
  ASSERT_TRUE(read.ok()) << read.status().message();
  EXPECT_EQ(write_plan(*read), text);
}

TEST(PlanFile, NamesWhatIsWrong) {
  auto made = make_plan(small_problem(), {});
  ASSERT_TRUE(made.ok());
  const std::string text = write_plan(made->file);
  const struct {
    const char* from;
    const char* to;
    const char* message;
  } cases[] = {
      {"\"version\": 1", "\"version\": 7", "is 7, this program reads 1"},
      {"\"tessera plan\"", "\"plan\"", "format is not"},
      {"\"op\": \"segment\"", "\"op\": \"layer\"", "neither segment nor"},
      {"\"lower_bound\": ", "\"lower_bound\": -", "lower_bound"},
      {"\"parts\": [", "\"pieces\": [", "parts are missing"},
      {"\"name\": \"layers.0.up\"", "\"name\": \"layers.0\"",
       "is that of two layers"},
      {"\"name\": \"layers.0\"", "\"name\": \"a\\u001b[31m\"",
       "control characters"},
  };
  for (const auto& one : cases) {
    const auto read = read_plan(changed(text, one.from, one.to), "plan.json");
    ASSERT_FALSE(read.ok()) << one.to;
    EXPECT_THAT(read.status().message(), HasSubstr("plan.json"));
    EXPECT_THAT(read.status().message(), HasSubstr(one.message));
  }
}

}  // namespace
}  // namespace tessera::planner
