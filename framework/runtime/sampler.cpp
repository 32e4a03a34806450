// SPDX-License-Identifier: Apache-2.0

#include "framework/runtime/sampler.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace tessera {

int32_t argmax(std::span<const float> logits) {
  size_t best = 0;
  float largest = -INFINITY;
  for (size_t i = 0; i < logits.size(); ++i) {
    if (logits[i] > largest) {
      largest = logits[i];
      best = i;
    }
  }
  return static_cast<int32_t>(best);
}

Result<Sampler> Sampler::create(const SamplingOptions& options,
                                uint32_t vocab_size) {
  if (!(options.temperature >= 0.0f) || std::isinf(options.temperature)) {
    return Status(TSR_INVALID_ARGUMENT,
                  fmt::format("temperature {} is not a number from 0 up",
                              options.temperature));
  }
  if (!(options.top_p > 0.0f && options.top_p <= 1.0f)) {
    return Status(TSR_INVALID_ARGUMENT,
                  fmt::format("top_p {} is not in (0, 1]", options.top_p));
  }
  return Sampler(options, vocab_size);
}

Sampler::Sampler(const SamplingOptions& options, uint32_t vocab_size)
    : options_(options), random_(options.seed) {
  if (options.temperature > 0.0f) candidates_.resize(vocab_size);
}

// Moves the most likely to the front, in order; ties go to the lower token.
size_t Sampler::keep_top_k() {
  const auto more_likely = [](const Candidate& a, const Candidate& b) {
    return a.logit != b.logit ? a.logit > b.logit : a.token < b.token;
  };
  const size_t count =
      options_.top_k == 0
          ? candidates_.size()
          : std::min<size_t>(options_.top_k, candidates_.size());
  std::partial_sort(candidates_.begin(),
                    candidates_.begin() + static_cast<ptrdiff_t>(count),
                    candidates_.end(), more_likely);
  return count;
}

// Of the first `count`, how many the nucleus keeps, and their total weight.
size_t Sampler::keep_top_p(size_t count, double* out_total) {
  double total = 0.0;
  for (size_t i = 0; i < count; ++i) {
    Candidate& candidate = candidates_[i];
    candidate.weight =
        std::exp((double{candidate.logit} - double{candidates_[0].logit}) /
                 double{options_.temperature});
    total += candidate.weight;
  }
  double kept = 0.0;
  for (size_t i = 0; i < count; ++i) {
    kept += candidates_[i].weight;
    if (kept >= total * double{options_.top_p}) {
      *out_total = kept;
      return i + 1;
    }
  }
  *out_total = kept;
  return count;
}

int32_t Sampler::sample(std::span<const float> logits) {
  if (options_.temperature == 0.0f) return argmax(logits);
  for (size_t i = 0; i < candidates_.size(); ++i) {
    // A NaN counts as impossible, so that the order stays strict.
    const float logit = std::isnan(logits[i]) ? -INFINITY : logits[i];
    candidates_[i] = {static_cast<int32_t>(i), logit, 0.0};
  }
  double total = 0.0;
  const size_t count = keep_top_p(keep_top_k(), &total);
  // 53 random bits: the standard's distributions differ between libraries.
  double left = static_cast<double>(random_() >> 11) * 0x1p-53 * total;
  for (size_t i = 0; i + 1 < count; ++i) {
    left -= candidates_[i].weight;
    if (left < 0.0) return candidates_[i].token;
  }
  return candidates_[count - 1].token;
}

}  // namespace tessera
