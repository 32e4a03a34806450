// SPDX-License-Identifier: Apache-2.0
//
// Chooses the next token from logits.

#pragma once

#include <cstdint>
#include <random>
#include <span>
#include <vector>

#include "framework/base/status.hpp"

namespace tessera {

struct SamplingOptions {
  float temperature = 0.0f;  // 0: greedy, whatever the rest says
  uint32_t top_k = 0;        // keep the k most likely; 0: all
  float top_p = 1.0f;  // then the fewest whose probabilities reach p; 1: all
  uint64_t seed = 0;
};

// The index of the largest logit; the first of equals, and a NaN never wins.
int32_t argmax(std::span<const float> logits);

// One sequence's stream of choices: the same options and logits give the same
// tokens on every machine.  Allocates nothing after construction.
class Sampler {
 public:
  // Errors: INVALID_ARGUMENT if temperature < 0 or top_p is not in (0, 1].
  static Result<Sampler> create(const SamplingOptions& options,
                                uint32_t vocab_size);

  // Requires  logits.size() == vocab_size.
  int32_t sample(std::span<const float> logits);

 private:
  struct Candidate {
    int32_t token;
    float logit;
    double weight;
  };

  Sampler(const SamplingOptions& options, uint32_t vocab_size);
  size_t keep_top_k();
  size_t keep_top_p(size_t count, double* out_total);

  SamplingOptions options_;
  std::mt19937_64 random_;
  std::vector<Candidate> candidates_;
};

}  // namespace tessera
