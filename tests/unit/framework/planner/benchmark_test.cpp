// SPDX-License-Identifier: Apache-2.0
//
// The solver against what is known of the planner benchmark's instances.

#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "framework/planner/problem/build_chain.hpp"
#include "framework/planner/problem/problem_file.hpp"
#include "framework/planner/solver/solve.hpp"

namespace tessera::planner {
namespace {

const std::string kFolder =
    std::string(TSR_SOURCE_DIR) + "/framework/planner/benchmark/";

// Known figures are written to a tenth of a microsecond or better.
constexpr double kRounding = 1e-6;

struct Known {
  std::string name;
  double best_ns;
  double bound_ns;
};

void PrintTo(const Known& known, std::ostream* out) { *out << known.name; }

std::string read_text(const std::string& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

std::vector<Known> read_known() {
  std::vector<Known> known;
  const auto document =
      nlohmann::json::parse(read_text(kFolder + "known.json"));
  for (const auto& instance : document.at("instances")) {
    known.push_back({instance.at("name").get<std::string>(),
                     instance.at("best_ns").get<double>(),
                     instance.at("bound_ns").get<double>()});
  }
  return known;
}

class PlannerBenchmark : public ::testing::TestWithParam<Known> {};

TEST_P(PlannerBenchmark, AgreesWithWhatIsKnown) {
  const Known& known = GetParam();
  const std::string path = kFolder + "instances/" + known.name + ".json";
  const auto problem = read_problem(read_text(path), path);
  ASSERT_TRUE(problem.ok()) << problem.status().message();
  const auto built = build_chain(*problem);
  ASSERT_TRUE(built.ok()) << built.status().message();
  SolveLimits limits;
  limits.max_work = 10'000'000;
  limits.gap = 1e-3;
  const Solution found = solve_chain(built->chain, limits);
  ASSERT_TRUE(found.feasible);
  EXPECT_TRUE(is_feasible(built->chain, add_up(built->chain, found.choice)));
  EXPECT_GE(found.objective, known.bound_ns * (1.0 - kRounding));
  EXPECT_LE(found.bound, known.best_ns * (1.0 + kRounding));
  if (known.best_ns == known.bound_ns) {
    EXPECT_LE(found.objective, known.best_ns * (1.0 + limits.gap));
    EXPECT_LE(found.gap(), limits.gap);
  }
}

// What someone who waits for a plan gets.
TEST_P(PlannerBenchmark, IsClosedToHalfAPercent) {
  const std::string path = kFolder + "instances/" + GetParam().name + ".json";
  const auto problem = read_problem(read_text(path), path);
  ASSERT_TRUE(problem.ok()) << problem.status().message();
  const auto built = build_chain(*problem);
  ASSERT_TRUE(built.ok()) << built.status().message();
  const Solution found =
      solve_chain(built->chain, interactive_limits(/*gap=*/1e-3));
  ASSERT_TRUE(found.feasible);
  EXPECT_LE(found.gap(), 0.005);
  EXPECT_LE(found.bound, GetParam().best_ns * (1.0 + kRounding));
  EXPECT_GE(found.objective, GetParam().bound_ns * (1.0 - kRounding));
}

INSTANTIATE_TEST_SUITE_P(Instances, PlannerBenchmark,
                         ::testing::ValuesIn(read_known()),
                         [](const auto& instance) {
                           std::string name = instance.param.name;
                           for (char& c : name) {
                             if (c == '-' || c == '.') c = '_';
                           }
                           return name;
                         });

}  // namespace
}  // namespace tessera::planner
