// SPDX-License-Identifier: Apache-2.0
//
// The solver against what is known of the planner benchmark's instances.

#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "framework/planner/baselines.hpp"
#include "framework/planner/planner.hpp"
#include "framework/planner/problem/build_chain.hpp"
#include "framework/planner/problem/problem_file.hpp"
#include "framework/planner/solver/solve.hpp"
#include "tests/unit/framework/planner/every_plan.hpp"

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
  bool is_exhausted;
  double gap;  // that it is solved to at least
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
                     instance.at("bound_ns").get<double>(),
                     instance.at("source") == "every plan tried",
                     instance.value("gap", 0.005)});
  }
  return known;
}

class PlannerInstance : public ::testing::TestWithParam<Known> {};

TEST_P(PlannerInstance, AgreesWithWhatIsKnown) {
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

// What someone who waits for a plan gets: half a percent, or what known.json
// says of the hardest.
TEST_P(PlannerInstance, IsClosedAsFarAsPromised) {
  const std::string path = kFolder + "instances/" + GetParam().name + ".json";
  const auto problem = read_problem(read_text(path), path);
  ASSERT_TRUE(problem.ok()) << problem.status().message();
  const auto built = build_chain(*problem);
  ASSERT_TRUE(built.ok()) << built.status().message();
  const Solution found =
      solve_chain(built->chain, interactive_limits(/*gap=*/1e-3));
  ASSERT_TRUE(found.feasible);
  EXPECT_LE(found.gap(), GetParam().gap);
  EXPECT_LE(found.bound, GetParam().best_ns * (1.0 + kRounding));
  EXPECT_GE(found.objective, GetParam().bound_ns * (1.0 - kRounding));
}

// What is small enough to try every plan of is known for sure.
TEST(PlannerBenchmark, IsExhaustedWhereItSaysSo) {
  int exhausted = 0;
  for (const Known& known : read_known()) {
    if (!known.is_exhausted) continue;
    const std::string path = kFolder + "instances/" + known.name + ".json";
    const auto problem = read_problem(read_text(path), path);
    ASSERT_TRUE(problem.ok()) << problem.status().message();
    EXPECT_NEAR(best_of_every_plan(*problem), known.best_ns,
                kRounding * known.best_ns)
        << known.name;
    ++exhausted;
  }
  EXPECT_GE(exhausted, 2);
}

class PlannerBaselines : public PlannerInstance {};

TEST_P(PlannerBaselines, AreNoBetterThanThePlan) {
  const std::string path = kFolder + "instances/" + GetParam().name + ".json";
  const auto problem = read_problem(read_text(path), path);
  ASSERT_TRUE(problem.ok()) << problem.status().message();
  const SolveLimits limits = interactive_limits(/*gap=*/1e-3);
  const auto made = make_plan(*problem, {limits, false, false});
  ASSERT_TRUE(made.ok()) << made.status().message();
  const auto baselines = find_baselines(*problem, limits);
  ASSERT_TRUE(baselines.ok()) << baselines.status().message();
  for (const Baseline& baseline : *baselines) {
    if (!baseline.feasible) continue;
    EXPECT_GE(baseline.prediction.objective,
              made->file.objective_value * (1.0 - kRounding))
        << baseline.name;
  }
}

// Baselines of the hard ones take as many seconds again.
std::vector<Known> easy_instances() {
  std::vector<Known> easy = read_known();
  std::erase_if(
      easy, [](const Known& known) { return known.name.starts_with("hard-"); });
  return easy;
}

std::string test_name(const ::testing::TestParamInfo<Known>& instance) {
  std::string name = instance.param.name;
  for (char& c : name) {
    if (c == '-' || c == '.') c = '_';
  }
  return name;
}

INSTANTIATE_TEST_SUITE_P(Instances, PlannerInstance,
                         ::testing::ValuesIn(read_known()), test_name);
INSTANTIATE_TEST_SUITE_P(Instances, PlannerBaselines,
                         ::testing::ValuesIn(easy_instances()), test_name);

}  // namespace
}  // namespace tessera::planner
