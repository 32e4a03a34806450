// SPDX-License-Identifier: Apache-2.0
//
// What one position says about a model, and what many documents say together.

#pragma once

#include <cmath>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

namespace tessera {

// One scored position: `logits` against the reference's, and the token that
// follows in the text.
struct PositionScore {
  double nll = 0.0;      // -ln p(next token), nats
  double kl = 0.0;       // KL(reference || model), nats
  bool top1 = false;     // same arg max as the reference
  bool correct = false;  // the arg max is the next token
};

// Both softmaxes in double, over the whole vocabulary.
// Requires  both spans of one size; 0 <= next_token < that size.
PositionScore score_position(std::span<const float> reference,
                             std::span<const float> logits, int32_t next_token);

// KL(p || q) of the softmaxes of two rows of logits, nats.
double kl_divergence(std::span<const float> p_logits,
                     std::span<const float> q_logits);

// Largest minus second largest; infinity for a single logit.
float top2_margin(std::span<const float> logits);

// A figure and its 95 % interval; NaN where one document is all there is, which
// says nothing of how others would do.
struct Estimate {
  double value = 0.0;
  double low = 0.0;
  double high = 0.0;

  bool has_interval() const { return !std::isnan(low) && !std::isnan(high); }
  // What a gate compares: the figure itself where it has no interval.
  double upper() const { return has_interval() ? high : value; }
};

// The scores of one document, in order.
using DocumentScores = std::vector<PositionScore>;

struct EvalMetrics {
  Estimate perplexity;
  Estimate kl_mean;
  Estimate kl_p99;
  Estimate top1;
  Estimate accuracy;
  uint64_t num_tokens = 0;
};

// Means over all positions of all documents.  Intervals: percentile bootstrap
// that resamples whole documents (their positions are not independent), 1,000
// times from a fixed seed.
// Source  Efron and Tibshirani, An Introduction to the Bootstrap, section 13.3;
//         numerics.md section 4
EvalMetrics summarize(const std::vector<DocumentScores>& documents);

// Whether `first` has the lower mean KL: the share of 10,000 resamples of whole
// documents, from a fixed seed, in which it has not.  Below 0.05 it has.
//
// Requires  the same documents in both
// Source    numerics.md section 4; Efron and Tibshirani, section 16.2
double paired_bootstrap(const std::vector<DocumentScores>& first,
                        const std::vector<DocumentScores>& second);

// The q-quantile (0 to 1) of `values` by linear interpolation; reorders them.
// Requires  values is not empty.
double quantile(std::vector<double>& values, double q);

}  // namespace tessera
