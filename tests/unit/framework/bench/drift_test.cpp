// SPDX-License-Identifier: Apache-2.0
//
// Noise without memory is no drift; a machine that slows down has one.

#include "framework/bench/statistics/drift.hpp"

#include <gtest/gtest.h>

#include "tests/unit/framework/bench/noise.hpp"

namespace tessera::bench {
namespace {

constexpr size_t kSamples = 15;
constexpr int kTrials = 2000;

class Drift : public testing::TestWithParam<Law> {
 protected:
  // Of 2,000 runs in which every sample behind the 8th takes `factor` times.
  int num_called(double factor) {
    std::mt19937 rng(42);
    int count = 0;
    for (int i = 0; i < kTrials; ++i) {
      std::vector<double> samples = draw_samples(GetParam(), kSamples, rng);
      for (size_t at = 8; at < kSamples; ++at) samples[at] *= factor;
      count += drifts(samples) ? 1 : 0;
    }
    return count;
  }
};

// 20 are expected; more than 35 happen once in a thousand.
TEST_P(Drift, NoiseWithoutMemoryIsCalledSoInOnePercent) {
  EXPECT_LE(num_called(1.0), 35);
  EXPECT_GE(num_called(1.0), 5);
}

// One step in 15 samples leaves the noise before and behind it.
TEST_P(Drift, AMachineThatSlowsDownOnceIsFoundMoreOftenThanNot) {
  EXPECT_GE(num_called(10.0), kTrials * 6 / 10);
}

INSTANTIATE_TEST_SUITE_P(Laws, Drift, testing::ValuesIn(noise_laws()),
                         [](const testing::TestParamInfo<Law>& law) {
                           return law.param.name;
                         });

TEST(Drift, ASlowRiseIsFoundAndItsOrderDecides) {
  std::vector<double> samples(kSamples);
  for (size_t i = 0; i < kSamples; ++i) {
    samples[i] = 100.0 + static_cast<double>(i);
  }
  EXPECT_TRUE(drifts(samples));
  for (size_t i = 0; i < kSamples; ++i) {  // 0 14 1 13 2 ...
    const double value = static_cast<double>(i / 2);
    samples[i] = i % 2 == 0 ? value : 14.0 - value;
  }
  EXPECT_FALSE(drifts(samples));
}

TEST(Drift, EqualAndFewSamplesHaveNone) {
  EXPECT_FALSE(drifts(std::vector<double>(kSamples, 3.0)));
  EXPECT_FALSE(drifts(std::vector<double>{1, 2, 3, 4, 5, 6, 7, 8, 9}));
  EXPECT_TRUE(drifts(std::vector<double>{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}));
}

}  // namespace
}  // namespace tessera::bench
