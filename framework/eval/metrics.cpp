// SPDX-License-Identifier: Apache-2.0

#include "framework/eval/metrics.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>

namespace tessera {
namespace {

constexpr uint32_t kResamples = 1000;
constexpr uint64_t kSeed = 42;

// ln sum exp(logits), in double.
double log_sum_exp(std::span<const float> logits) {
  const double largest = *std::max_element(logits.begin(), logits.end());
  double sum = 0.0;
  for (const float logit : logits) sum += std::exp(double{logit} - largest);
  return largest + std::log(sum);
}

size_t argmax_index(std::span<const float> logits) {
  return static_cast<size_t>(std::max_element(logits.begin(), logits.end()) -
                             logits.begin());
}

// Per-document sums, so that a resample costs documents, not positions.
struct DocumentSums {
  double nll = 0.0;
  double kl = 0.0;
  double top1 = 0.0;
  double correct = 0.0;
  double count = 0.0;

  void operator+=(const DocumentSums& other) {
    nll += other.nll;
    kl += other.kl;
    top1 += other.top1;
    correct += other.correct;
    count += other.count;
  }
};

DocumentSums sum_document(const DocumentScores& scores) {
  DocumentSums sums;
  for (const PositionScore& score : scores) {
    sums += {score.nll, score.kl, score.top1 ? 1.0 : 0.0,
             score.correct ? 1.0 : 0.0, 1.0};
  }
  return sums;
}

// The p99 of the positions of the documents in `chosen`.
double kl_p99(const std::vector<DocumentScores>& documents,
              const std::vector<size_t>& chosen, std::vector<double>& values) {
  values.clear();
  for (const size_t document : chosen) {
    for (const PositionScore& score : documents[document]) {
      values.push_back(score.kl);
    }
  }
  return values.empty() ? 0.0 : quantile(values, 0.99);
}

// The five figures of one (re)sample.
struct Figures {
  double perplexity;
  double kl_mean;
  double kl_p99;
  double top1;
  double accuracy;
};

Figures figures_of(const std::vector<DocumentScores>& documents,
                   const std::vector<DocumentSums>& sums,
                   const std::vector<size_t>& chosen,
                   std::vector<double>& scratch) {
  DocumentSums total;
  for (const size_t document : chosen) total += sums[document];
  const double count = std::max(total.count, 1.0);
  return {std::exp(total.nll / count), total.kl / count,
          kl_p99(documents, chosen, scratch), total.top1 / count,
          total.correct / count};
}

Estimate interval(double value, std::vector<double>& resampled) {
  if (resampled.empty()) {
    constexpr double kNone = std::numeric_limits<double>::quiet_NaN();
    return {value, kNone, kNone};
  }
  return {value, quantile(resampled, 0.025), quantile(resampled, 0.975)};
}

// Resampled values of each figure.
struct Resampled {
  std::vector<double> perplexity, kl_mean, kl_p99, top1, accuracy;

  void add(const Figures& figures) {
    perplexity.push_back(figures.perplexity);
    kl_mean.push_back(figures.kl_mean);
    kl_p99.push_back(figures.kl_p99);
    top1.push_back(figures.top1);
    accuracy.push_back(figures.accuracy);
  }
};

}  // namespace

double kl_divergence(std::span<const float> p_logits,
                     std::span<const float> q_logits) {
  const double p_norm = log_sum_exp(p_logits);
  const double q_norm = log_sum_exp(q_logits);
  double kl = 0.0;
  for (size_t i = 0; i < p_logits.size(); ++i) {
    const double log_p = double{p_logits[i]} - p_norm;
    const double log_q = double{q_logits[i]} - q_norm;
    if (const double p = std::exp(log_p); p > 0.0) kl += p * (log_p - log_q);
  }
  return std::max(kl, 0.0);  // rounding may leave -1e-16
}

PositionScore score_position(std::span<const float> reference,
                             std::span<const float> logits,
                             int32_t next_token) {
  PositionScore score;
  const auto next = static_cast<size_t>(next_token);
  const size_t best = argmax_index(logits);
  score.nll = log_sum_exp(logits) - double{logits[next]};
  score.kl = kl_divergence(reference, logits);
  score.top1 = best == argmax_index(reference);
  score.correct = best == next;
  return score;
}

float top2_margin(std::span<const float> logits) {
  float first = -std::numeric_limits<float>::infinity();
  float second = first;
  for (const float logit : logits) {
    if (logit > first) {
      second = first;
      first = logit;
    } else if (logit > second) {
      second = logit;
    }
  }
  return first - second;
}

double quantile(std::vector<double>& values, double q) {
  const double rank = q * static_cast<double>(values.size() - 1);
  const auto low = static_cast<ptrdiff_t>(rank);
  std::nth_element(values.begin(), values.begin() + low, values.end());
  const double at_low = values[static_cast<size_t>(low)];
  if (low + 1 == static_cast<ptrdiff_t>(values.size())) return at_low;
  const double at_high =
      *std::min_element(values.begin() + low + 1, values.end());
  return at_low + (rank - static_cast<double>(low)) * (at_high - at_low);
}

double paired_bootstrap(const std::vector<DocumentScores>& first,
                        const std::vector<DocumentScores>& second) {
  constexpr uint32_t kPairedResamples = 10000;
  std::vector<double> differences;  // of the KL sums, by document
  for (size_t d = 0; d < first.size(); ++d) {
    differences.push_back(sum_document(first[d]).kl -
                          sum_document(second[d]).kl);
  }
  if (differences.empty()) return 1.0;
  std::mt19937 rng(42);
  std::uniform_int_distribution<size_t> choose(0, differences.size() - 1);
  uint32_t not_lower = 0;
  for (uint32_t i = 0; i < kPairedResamples; ++i) {
    double sum = 0.0;
    for (size_t k = 0; k < differences.size(); ++k) {
      sum += differences[choose(rng)];
    }
    if (sum >= 0.0) ++not_lower;
  }
  return static_cast<double>(not_lower) / kPairedResamples;
}

EvalMetrics summarize(const std::vector<DocumentScores>& documents) {
  EvalMetrics metrics;
  std::vector<DocumentSums> sums;
  std::vector<size_t> chosen;
  for (const DocumentScores& scores : documents) {
    chosen.push_back(sums.size());
    sums.push_back(sum_document(scores));
    metrics.num_tokens += scores.size();
  }
  if (metrics.num_tokens == 0) return metrics;

  std::vector<double> scratch;
  const Figures figures = figures_of(documents, sums, chosen, scratch);
  std::mt19937_64 random(kSeed);
  Resampled resampled;
  const uint32_t num_resamples = documents.size() > 1 ? kResamples : 0;
  for (uint32_t i = 0; i < num_resamples; ++i) {
    for (size_t& document : chosen) document = random() % documents.size();
    resampled.add(figures_of(documents, sums, chosen, scratch));
  }
  metrics.perplexity = interval(figures.perplexity, resampled.perplexity);
  metrics.kl_mean = interval(figures.kl_mean, resampled.kl_mean);
  metrics.kl_p99 = interval(figures.kl_p99, resampled.kl_p99);
  metrics.top1 = interval(figures.top1, resampled.top1);
  metrics.accuracy = interval(figures.accuracy, resampled.accuracy);
  return metrics;
}

}  // namespace tessera
