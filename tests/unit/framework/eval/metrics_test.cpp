// SPDX-License-Identifier: Apache-2.0
//
// Metrics against figures worked out by hand.

#include "framework/eval/metrics.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

namespace tessera {
namespace {

TEST(Metrics, KlOfKnownDistributions) {
  const std::vector<float> p = {std::log(0.5f), std::log(0.25f),
                                std::log(0.25f)};
  const std::vector<float> q = {std::log(0.25f), std::log(0.5f),
                                std::log(0.25f)};
  // 0.5 ln 2 + 0.25 ln 0.5; inputs are rounded to f32, values are near 1.
  EXPECT_NEAR(kl_divergence(p, q), 0.25 * std::log(2.0), 1e-6);
  EXPECT_EQ(kl_divergence(p, p), 0.0);
}

// Adding a constant to all logits changes no probability; log-probabilities
// near 100 are rounded to 100 * 2^-53 about ten times.
TEST(Metrics, KlIgnoresAShiftOfLogits) {
  const std::vector<float> p = {1.0f, 2.0f, 4.0f};
  const std::vector<float> shifted = {101.0f, 102.0f, 104.0f};
  EXPECT_NEAR(kl_divergence(p, shifted), 0.0, 10 * 104.0 * 0x1p-53);
}

TEST(Metrics, ScoresOnePosition) {
  const std::vector<float> reference = {0.0f, 1.0f, 0.5f};
  const std::vector<float> logits = {0.0f, 0.0f, 1.0f};
  const PositionScore score = score_position(reference, logits, 2);
  EXPECT_NEAR(score.nll, std::log(2.0 + std::exp(1.0)) - 1.0, 1e-12);
  EXPECT_FALSE(score.top1);
  EXPECT_TRUE(score.correct);
}

TEST(Metrics, Top2Margin) {
  EXPECT_EQ(top2_margin(std::vector<float>{3.0f, 1.0f, 2.5f}), 0.5f);
  EXPECT_EQ(top2_margin(std::vector<float>{3.0f, 3.0f}), 0.0f);
}

TEST(Metrics, QuantileInterpolates) {
  std::vector<double> values = {4.0, 1.0, 3.0, 2.0};
  EXPECT_DOUBLE_EQ(quantile(values, 0.0), 1.0);
  EXPECT_DOUBLE_EQ(quantile(values, 1.0), 4.0);
  EXPECT_DOUBLE_EQ(quantile(values, 0.5), 2.5);
}

std::vector<DocumentScores> random_documents(size_t count, std::mt19937& rng) {
  std::exponential_distribution<double> kl(10.0);
  std::vector<DocumentScores> documents(count);
  for (DocumentScores& scores : documents) {
    scores.resize(20 + rng() % 30);
    for (PositionScore& score : scores) {
      score = {2.0, kl(rng), rng() % 10 != 0, rng() % 3 == 0};
    }
  }
  return documents;
}

TEST(Metrics, SummaryIsTheMeanOverPositions) {
  std::vector<DocumentScores> documents = {
      {{1.0, 0.1, true, true}},
      {{2.0, 0.2, true, false}, {3.0, 0.6, false, false}}};
  const EvalMetrics metrics = summarize(documents);
  EXPECT_EQ(metrics.num_tokens, 3u);
  EXPECT_DOUBLE_EQ(metrics.perplexity.value, std::exp(2.0));
  EXPECT_DOUBLE_EQ(metrics.kl_mean.value, 0.3);
  EXPECT_DOUBLE_EQ(metrics.top1.value, 2.0 / 3.0);
  EXPECT_DOUBLE_EQ(metrics.accuracy.value, 1.0 / 3.0);
}

TEST(Metrics, IntervalsHoldTheFigureAndRepeat) {
  std::mt19937 rng(42);
  const auto documents = random_documents(40, rng);
  const EvalMetrics a = summarize(documents);
  const EvalMetrics b = summarize(documents);
  EXPECT_LT(a.kl_mean.low, a.kl_mean.value);
  EXPECT_GT(a.kl_mean.high, a.kl_mean.value);
  EXPECT_EQ(a.kl_mean.low, b.kl_mean.low);
  EXPECT_EQ(a.kl_p99.high, b.kl_p99.high);
}

// The true mean lies in a 95 % interval about 95 times in 100; with 200 trials
// a fair interval misses fewer than 88 % less often than once in 10,000 runs.
TEST(Metrics, TheIntervalCoversTheTrueMean) {
  std::mt19937 rng(42);
  int covered = 0;
  for (int trial = 0; trial < 200; ++trial) {
    const EvalMetrics metrics = summarize(random_documents(40, rng));
    if (metrics.kl_mean.low <= 0.1 && 0.1 <= metrics.kl_mean.high) ++covered;
  }
  EXPECT_GE(covered, 176);
}

TEST(Metrics, OneDocumentGivesNoInterval) {
  std::mt19937 rng(42);
  const EvalMetrics metrics = summarize(random_documents(1, rng));
  EXPECT_FALSE(metrics.kl_mean.has_interval());
  EXPECT_FALSE(metrics.perplexity.has_interval());
  EXPECT_EQ(metrics.kl_mean.upper(), metrics.kl_mean.value);
  EXPECT_TRUE(summarize(random_documents(2, rng)).kl_mean.has_interval());
}

TEST(Metrics, NoPositionsGiveNoFigures) {
  EXPECT_EQ(summarize({}).num_tokens, 0u);
  EXPECT_EQ(summarize({{}, {}}).num_tokens, 0u);
}

// Per document the first is better by 0.1 with a little noise, or not at all.
TEST(PairedBootstrap, TellsADifferenceFromNoise) {
  std::mt19937 rng(42);
  std::normal_distribution<double> noise(0.0, 0.1);
  std::vector<DocumentScores> better;
  std::vector<DocumentScores> worse;
  std::vector<DocumentScores> same;
  for (int d = 0; d < 100; ++d) {
    const double kl = 1.0 + std::abs(noise(rng));
    better.push_back({PositionScore{0.0, kl, true, true}});
    worse.push_back({PositionScore{0.0, kl + 0.1 + noise(rng), true, true}});
    same.push_back({PositionScore{0.0, kl + noise(rng), true, true}});
  }
  EXPECT_LT(paired_bootstrap(better, worse), 0.05);
  EXPECT_GT(paired_bootstrap(worse, better), 0.95);
  EXPECT_GT(paired_bootstrap(better, same), 0.05);
  EXPECT_EQ(paired_bootstrap(better, better), 1.0);
}

}  // namespace
}  // namespace tessera
