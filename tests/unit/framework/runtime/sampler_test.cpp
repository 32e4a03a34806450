// SPDX-License-Identifier: Apache-2.0
//
// Sampling keeps to its options and repeats itself for a seed.

#include "framework/runtime/sampler.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <map>

namespace tessera {
namespace {

std::vector<int32_t> draw(const SamplingOptions& options,
                          const std::vector<float>& logits, int count) {
  Sampler sampler =
      *Sampler::create(options, static_cast<uint32_t>(logits.size()));
  std::vector<int32_t> tokens;
  for (int i = 0; i < count; ++i) tokens.push_back(sampler.sample(logits));
  return tokens;
}

SamplingOptions options_of(float temperature, uint32_t top_k, float top_p,
                           uint64_t seed = 1) {
  SamplingOptions options;
  options.temperature = temperature;
  options.top_k = top_k;
  options.top_p = top_p;
  options.seed = seed;
  return options;
}

TEST(Sampler, GreedyTakesTheFirstOfEqualMaxima) {
  EXPECT_EQ(argmax(std::vector<float>{1.0f, 3.0f, 3.0f, 2.0f}), 1);
}

TEST(Sampler, ANaNNeverWins) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  EXPECT_EQ(argmax(std::vector<float>{nan, 1.0f, nan, 2.0f}), 3);
  for (const int32_t token :
       draw(options_of(1.0f, 0, 1.0f), {nan, 1.0f, nan}, 50)) {
    EXPECT_EQ(token, 1);
  }
}

TEST(Sampler, TheSameSeedGivesTheSameTokens) {
  const std::vector<float> logits = {0.1f, 0.4f, 0.2f, 0.3f};
  const auto options = options_of(0.8f, 0, 0.95f, 7);
  EXPECT_EQ(draw(options, logits, 100), draw(options, logits, 100));
  EXPECT_NE(draw(options, logits, 100),
            draw(options_of(0.8f, 0, 0.95f, 8), logits, 100));
}

TEST(Sampler, TopKKeepsTheKMostLikely) {
  for (const int32_t token :
       draw(options_of(5.0f, 2, 1.0f), {0.0f, 3.0f, 1.0f, 2.0f}, 200)) {
    EXPECT_TRUE(token == 1 || token == 3) << token;
  }
}

// p = {0.5, 0.3, 0.2}: 0.5 reaches 0.5 alone; 0.51 needs the second.
TEST(Sampler, TopPKeepsTheFewestThatReachIt) {
  const std::vector<float> logits = {std::log(0.2f), std::log(0.5f),
                                     std::log(0.3f)};
  for (const int32_t token : draw(options_of(1.0f, 0, 0.49f), logits, 100)) {
    EXPECT_EQ(token, 1);
  }
  std::map<int32_t, int> counts;
  for (const int32_t token : draw(options_of(1.0f, 0, 0.7f), logits, 400)) {
    ++counts[token];
  }
  EXPECT_EQ(counts.count(0), 0u);
  EXPECT_GT(counts[1], 0);
  EXPECT_GT(counts[2], 0);
}

// 20,000 draws of probability p lie within 5 standard deviations of their mean.
TEST(Sampler, DrawsInProportionToTheSoftmax) {
  const std::vector<float> p = {0.1f, 0.2f, 0.7f};
  std::vector<float> logits;
  for (const float value : p) logits.push_back(2.0f * std::log(value));
  constexpr int kDraws = 20000;
  std::map<int32_t, int> counts;
  for (const int32_t token : draw(options_of(2.0f, 0, 1.0f), logits, kDraws)) {
    ++counts[token];
  }
  for (int32_t i = 0; i < 3; ++i) {
    const double share = double{p[static_cast<size_t>(i)]};
    EXPECT_NEAR(counts[i], kDraws * share,
                5.0 * std::sqrt(kDraws * share * (1.0 - share)));
  }
}

TEST(Sampler, RefusesOptionsThatMakeNoSense) {
  EXPECT_FALSE(Sampler::create(options_of(-1.0f, 0, 1.0f), 4).ok());
  EXPECT_FALSE(Sampler::create(options_of(1.0f, 0, 0.0f), 4).ok());
  EXPECT_FALSE(Sampler::create(options_of(1.0f, 0, 1.5f), 4).ok());
  EXPECT_FALSE(Sampler::create(options_of(std::nanf(""), 0, 1.0f), 4).ok());
}

}  // namespace
}  // namespace tessera
