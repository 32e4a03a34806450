// SPDX-License-Identifier: Apache-2.0
//
// Finds a small set of layers whose fallback brings a model's score under a
// tolerance.

#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "framework/base/status.hpp"

namespace tessera::quant {

// The model's score, say KL on the select split, with these layers in
// fallback; smaller is better.  Expensive.
using ScoreFallback =
    std::function<Result<double>(const std::vector<std::string>& names)>;

struct FallbackSearch {
  double tolerance = 0.0;         // met if score <= tolerance
  uint32_t max_evaluations = 32;  // calls of ScoreFallback
};

struct FallbackStep {
  std::vector<std::string> names;
  double score = 0.0;
  bool met = false;
};

struct FallbackSet {
  std::vector<std::string> names;  // in the order of the ranking
  double score = 0.0;
  // False: `names` is the set with the lowest score that was tried.
  bool met = false;
  bool out_of_budget = false;       // a smaller set may exist
  std::vector<FallbackStep> steps;  // every evaluation, in order
};

// The smallest prefix of the ranking that meets the tolerance, by doubling and
// bisection (as if the score fell with every layer), then without each layer
// that is not needed, tried from the least sensitive up.
//
// Errors  INVALID_ARGUMENT if the tolerance is NaN or the budget 0, or, naming
//         the number of layers, a score is NaN; whatever `score` returns
Result<FallbackSet> search_fallback(const FallbackSearch& search,
                                    const std::vector<std::string>& ranking,
                                    const ScoreFallback& score);

}  // namespace tessera::quant
