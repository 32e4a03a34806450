// SPDX-License-Identifier: Apache-2.0
//
// What does not average out is told from what does, and intervals count it.

#include "framework/bench/statistics/wander.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <numbers>
#include <random>
#include <span>
#include <vector>

#include "framework/bench/statistics/median_interval.hpp"

namespace tessera::bench {
namespace {

constexpr size_t kProbe = 800;
constexpr double kNoise = 0.01;
constexpr double kBetweenNs = 1e10;  // two commands

// Timings around 100 with 1 % of noise that has no memory, on a machine whose
// speed has a spectrum of h / f: a sum of relaxations whose times double, each
// of variance v, for which h = v / ln 2 and the Allan variance is 2 v.
class WanderingMachine {
 public:
  WanderingMachine(double wander, uint32_t seed) : rng_(seed) {
    const double deviation = std::sqrt(0.5) * wander;
    for (size_t i = 0; i < kOctaves; ++i) {
      memory_[i] = std::exp(-1.0 / std::exp2(i));
      kick_[i] = deviation * std::sqrt(1.0 - memory_[i] * memory_[i]);
      state_[i] = deviation * normal_(rng_);
    }
  }

  std::vector<double> take(size_t count) {
    std::vector<double> samples(count);
    for (double& sample : samples) {
      double share = kNoise * normal_(rng_);
      for (size_t i = 0; i < kOctaves; ++i) {
        state_[i] = memory_[i] * state_[i] + kick_[i] * normal_(rng_);
        share += state_[i];
      }
      sample = 100.0 * (1.0 + share);
    }
    return samples;
  }

 private:
  static constexpr size_t kOctaves = 16;
  std::mt19937 rng_;
  std::normal_distribution<double> normal_{0.0, 1.0};
  double memory_[kOctaves] = {};
  double kick_[kOctaves] = {};
  double state_[kOctaves] = {};
};

double root_mean_square_wander(double wander) {
  constexpr uint32_t kMachines = 200;
  double sum = 0.0;
  for (uint32_t seed = 0; seed < kMachines; ++seed) {
    sum += std::pow(wander_of(WanderingMachine(wander, seed).take(kProbe)), 2);
  }
  return std::sqrt(sum / kMachines);
}

// Relaxations faster than a sample look like noise, and those slower than the
// probe are not in it: a fifth either way.
TEST(Wander, IsTheAllanDeviationThatLasts) {
  for (const double wander : {0.005, 0.01, 0.03}) {
    EXPECT_NEAR(root_mean_square_wander(wander), wander, 0.2 * wander);
  }
}

// 1 % of noise in 800 samples hides what is below its part in their mean.
TEST(Wander, OfNoiseWithoutMemoryIsBelowItsShareInTheMean) {
  EXPECT_LE(root_mean_square_wander(0.0), kNoise / std::sqrt(kProbe / 4.0));
}

TEST(Wander, IsNotMovedByDelaysOfSingleSamples) {
  std::vector<double> samples = WanderingMachine(0.0, 1).take(kProbe);
  for (size_t i = 0; i < kProbe; i += 37) samples[i] *= 20.0;
  EXPECT_LE(wander_of(samples), 0.2 * kNoise);
}

TEST(Wander, EqualAndFewSamplesHaveNone) {
  EXPECT_EQ(wander_of(std::vector<double>(kProbe, 3.0)), 0.0);
  EXPECT_EQ(wander_of(std::vector<double>{1, 2, 3, 4, 5, 6, 7}), 0.0);
  EXPECT_EQ(wander_of({}), 0.0);
  EXPECT_EQ(wander_of(std::vector<double>(kProbe, 0.0)), 0.0);
}

// Means of equal length step by sqrt(2) Allan deviations, by their definition.
TEST(Wander, StepToARunAsLongIsTheDefinitionOfTheAllanVariance) {
  EXPECT_NEAR(step_to_longer_run(1.0, 0.0), std::numbers::sqrt2, 1e-12);
  EXPECT_GT(step_to_longer_run(10.0, 0.0), step_to_longer_run(1.0, 0.0));
  EXPECT_GT(step_to_longer_run(10.0, 5.0), step_to_longer_run(10.0, 0.0));
}

// Of 1,000 machines, the share whose interval from 15 samples holds the median
// of 150 that follow, after a pause of so many if it is not 0, where a probe
// was taken before.
double share_held(double wander, bool is_probed, size_t pause = 0) {
  constexpr size_t kSamples = 15;
  constexpr uint32_t kMachines = 1000;
  uint32_t held = 0;
  for (uint32_t seed = 0; seed < kMachines; ++seed) {
    WanderingMachine machine(wander, seed);
    const double probed = wander_of(machine.take(kProbe));
    const std::vector<double> samples = machine.take(11 * kSamples + pause);
    const std::span<const double> all(samples);
    const double pauses = static_cast<double>(pause) / kSamples;
    const MedianInterval found =
        median_interval(all.first(kSamples), is_probed ? probed : 0.0,
                        pause == 0 ? 0.0 : kBetweenNs / pauses);
    const double longer = quantile_of(all.last(10 * kSamples), 0.5);
    held += found.low <= longer && longer <= found.high ? 1 : 0;
  }
  return static_cast<double>(held) / kMachines;
}

TEST(MedianInterval, HoldsOnAMachineThatWandersIfThatWasProbed) {
  for (const double wander : {0.0, 0.003, 0.01, 0.03}) {
    const double share = share_held(wander, true);
    EXPECT_GE(share, 0.93) << wander;
    EXPECT_LE(share, 0.97) << wander;
  }
  EXPECT_LT(share_held(0.03, false), 0.9);
}

// Over seconds a real machine does more than its probe of noise that is 1/f
// says, which this machine does not.
TEST(MedianInterval, HoldsForTheNextCommandOnAMachineThatWanders) {
  for (const double wander : {0.003, 0.01, 0.03}) {
    const double share = share_held(wander, true, 1000);
    EXPECT_GE(share, 0.95) << wander;
    EXPECT_LE(share, 0.995) << wander;
  }
}

}  // namespace
}  // namespace tessera::bench
