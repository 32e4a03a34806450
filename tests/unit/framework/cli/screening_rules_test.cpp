// SPDX-License-Identifier: Apache-2.0
//
// How often a screening turns away a plan that is no slower, on made-up times
// of known laws: of single runs, and of a machine whose speed wanders.

#include "framework/cli/plan/screening_rules.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <memory>
#include <numeric>
#include <random>
#include <string>
#include <vector>

#include "framework/bench/statistics/median_interval.hpp"

namespace tessera::cli {
namespace {

constexpr Screening kHow;
constexpr int kScreenings = 4000;
constexpr size_t kAtOnce = 7;  // rivals beside the plan

// Of plans that are no slower, those that may be turned away: docs/planner.md
// says so.  Four standard errors of that come on top.
constexpr double kWrong = 0.04;
const double kMost =
    kWrong + 4.0 * std::sqrt(kWrong * (1 - kWrong) / kScreenings);

using Random = std::mt19937;

double normal(Random& rng, double sigma) {
  return std::normal_distribution<double>(0.0, sigma)(rng);
}

// By how much a run takes longer than on a quiet machine; asked run by run.
using Machine = std::function<double(Random&)>;

struct Law {
  std::string name;
  // A machine at some moment.
  std::function<Machine(Random&)> begin;
};

void PrintTo(const Law& law, std::ostream* out) { *out << law.name; }

// Each run by itself, about as far from its median as sigma.
Machine independent(double sigma) {
  return [sigma](Random& rng) { return std::exp(normal(rng, sigma)); };
}

// One run of fifty meets something that takes as long again or twice.
Machine spikes(Random&) {
  return [](Random& rng) {
    if (rng() % 50 != 0) return std::exp(normal(rng, 0.02));
    const double spike = rng() % 2 == 0 ? 2.0 : 3.0;
    return spike * std::exp(normal(rng, 0.02));
  };
}

// Slower or faster by a fifth in as many runs as a screening has.
Machine drift(Random& rng) {
  const double slope = (rng() % 2 == 0 ? 1.0 : -1.0) * 0.2 /
                       ((kAtOnce + 1.0) * (kHow.rounds + 2.0));
  return [slope, at = 0.0](Random& random) mutable {
    at += slope;
    return std::exp(at + normal(random, 0.02));
  };
}

// As many slow changes as quick ones: octaves of equal strength, each with
// half the pace of the one before.
//
// Source  sums of relaxations: van der Ziel, Physica 16(4), 1950
Machine one_over_f(Random& rng) {
  constexpr int kOctaves = 10;
  constexpr double kSigma = 0.15;  // of all together
  const double each = kSigma / std::sqrt(double{kOctaves});
  std::vector<double> levels(kOctaves);
  for (double& level : levels) level = normal(rng, each);
  return [levels, each](Random& random) mutable {
    double keep = 0.0;
    for (double& level : levels) {
      level =
          keep * level + std::sqrt(1.0 - keep * keep) * normal(random, each);
      keep = 1.0 - (1.0 - keep) / 2.0;
    }
    return std::exp(std::accumulate(levels.begin(), levels.end(), 0.0));
  };
}

// Minutes in which somebody else has half of the machine.
Machine shared(Random& rng) {
  return [busy = rng() % 2 == 0](Random& random) mutable {
    if (random() % 40 == 0) busy = !busy;
    return (busy ? 2.0 : 1.0) * std::exp(normal(random, 0.02));
  };
}

// What a screening does with rivals beside a plan that takes 1, as
// PlanRace::screen() does.
class Simulation {
 public:
  Simulation(const Law& law, Random& rng)
      : rng_(rng), machine_(law.begin(rng)) {}

  // Times to the plan's in the median of the rounds, by rival; infinite if it
  // was turned away.
  std::vector<double> screen(const std::vector<double>& rivals) {
    std::vector<double> truth{1.0};
    truth.insert(truth.end(), rivals.begin(), rivals.end());
    std::vector<size_t> running = trial(truth);
    std::vector<RunRange> took(truth.size());
    std::vector<std::vector<double>> totals(truth.size());
    for (uint32_t round = 0; round < kHow.rounds && running.size() > 1;
         ++round) {
      std::vector<size_t> order = running;
      std::shuffle(order.begin(), order.end(), rng_);
      for (const size_t i : order) {
        totals[i].push_back(truth[i] * machine_(rng_));
        took[i].add(totals[i].back());
      }
      const RunRange own = took[0];
      std::erase_if(running, [&](size_t i) {
        return i > 0 && gives_up(kHow, took[i], own);
      });
    }
    std::vector<double> ratios(rivals.size(),
                               std::numeric_limits<double>::infinity());
    for (const size_t i : running) {
      if (i > 0) ratios[i - 1] = median_ratio(totals[i], totals[0]);
    }
    return ratios;
  }

 private:
  std::vector<size_t> trial(const std::vector<double>& truth) {
    std::vector<size_t> running;
    double own = 0.0;
    for (size_t i = 0; i < truth.size(); ++i) {
      double least = truth[i] * machine_(rng_);
      if (i == 0 || !is_beyond_doubt(kHow, least, own)) {
        least = std::min(least, truth[i] * machine_(rng_));
      }
      if (i == 0) own = least;
      if (i == 0 || !is_hopeless(kHow, least, own)) running.push_back(i);
    }
    return running;
  }

  static double median_ratio(const std::vector<double>& one,
                             const std::vector<double>& own) {
    std::vector<double> ratios(one.size());
    std::transform(one.begin(), one.end(), own.begin(), ratios.begin(),
                   std::divides<>());
    std::sort(ratios.begin(), ratios.end());
    return bench::quantile_of(ratios, 0.5);
  }

  Random& rng_;
  Machine machine_;
};

class ScreeningRules : public ::testing::TestWithParam<Law> {};

// By 3 times in the trial, by half as long again in the rounds, or by not being
// within 15 %.
TEST_P(ScreeningRules, TurnFewPlansAwayThatAreNoSlower) {
  Random rng(42);
  int stopped = 0;
  int left_out = 0;
  for (int i = 0; i < kScreenings; ++i) {
    Simulation simulation(GetParam(), rng);
    const double ratio =
        simulation.screen(std::vector<double>(kAtOnce, 1.0))[0];
    if (std::isinf(ratio)) {
      ++stopped;
    } else if (ratio > kHow.still_good) {
      ++left_out;
    }
  }
  RecordProperty("stopped of 4000", stopped);
  RecordProperty("left out of 4000", left_out);
  EXPECT_LE(stopped, kMost * kScreenings);
}

// Where a better plan loses by chance, another good one takes its place: what
// is missed is a percent or two, not the plan.
TEST_P(ScreeningRules, KeepAPlanThatIsNearlyTheBest) {
  Random rng(42);
  std::vector<double> truth;
  for (size_t i = 0; i < 10 * kAtOnce; ++i) {
    truth.push_back(0.9 + 0.04 * static_cast<double>(i));
  }
  int missed = 0;
  constexpr int kChallenges = 400;
  for (int i = 0; i < kChallenges; ++i) {
    Simulation simulation(GetParam(), rng);
    std::vector<double> shuffled = truth;
    std::shuffle(shuffled.begin(), shuffled.end(), rng);
    std::vector<std::pair<double, double>> placings;
    for (size_t at = 0; at < shuffled.size(); at += kAtOnce) {
      const std::vector<double> slice(shuffled.begin() + at,
                                      shuffled.begin() + at + kAtOnce);
      const std::vector<double> ratios = simulation.screen(slice);
      for (size_t k = 0; k < slice.size(); ++k) {
        placings.emplace_back(ratios[k], slice[k]);
      }
    }
    std::sort(placings.begin(), placings.end());
    std::vector<double> ratios;
    for (const auto& [ratio, own] : placings) ratios.push_back(ratio);
    double best = 10.0;
    for (size_t k = 0; k < num_finalists(kHow, kHow.finalists, ratios); ++k) {
      best = std::min(best, placings[k].second);
    }
    if (best > truth[1]) ++missed;
  }
  RecordProperty("missed of 400", missed);
  EXPECT_LE(missed, kMost * kChallenges);
}

INSTANTIATE_TEST_SUITE_P(
    Laws, ScreeningRules,
    ::testing::Values(Law{"quiet", [](Random&) { return independent(0.01); }},
                      Law{"loud", [](Random&) { return independent(0.1); }},
                      Law{"spikes", spikes}, Law{"drift", drift},
                      Law{"one_over_f", one_over_f}, Law{"shared", shared}),
    [](const auto& one) { return one.param.name; });

// The rules are worth having: what is clearly slower does not run on.
TEST(Screening, EndsEarlyForWhatIsClearlySlower) {
  Random rng(42);
  Simulation simulation({"loud", [](Random&) { return independent(0.1); }},
                        rng);
  int ran = 0;
  for (int i = 0; i < 100; ++i) {
    for (const double ratio : simulation.screen({4.5, 2.5})) {
      ran += std::isinf(ratio) ? 0 : 1;
    }
  }
  EXPECT_LE(ran, 2);
}

TEST(NumFinalists, AreTheFastestAndNoneThatIsFarBehind) {
  const std::vector<double> slow = {1.3, 1.4};
  EXPECT_EQ(num_finalists(kHow, 8, slow), 1U);
  const std::vector<double> mixed = {0.9, 1.0, 1.1, 1.2};
  EXPECT_EQ(num_finalists(kHow, 8, mixed), 3U);
  EXPECT_EQ(num_finalists(kHow, 2, mixed), 2U);
  EXPECT_EQ(num_finalists(kHow, 8, {}), 0U);
}

}  // namespace
}  // namespace tessera::cli
