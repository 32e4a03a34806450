// SPDX-License-Identifier: Apache-2.0
//
// Bisection along the ranking, then greedy pruning.

#include "framework/quant/fallback/fallback_search.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

namespace tessera::quant {
namespace {

using Names = std::vector<std::string>;

class Search {
 public:
  Search(const FallbackSearch& options, const Names& ranking,
         const ScoreFallback& score)
      : options_(options), ranking_(ranking), score_(score) {}

  Result<FallbackSet> run() {
    TSR_RETURN_IF_ERROR(find_prefix());
    if (result_.met) TSR_RETURN_IF_ERROR(prune());
    return std::move(result_);
  }

 private:
  bool has_budget() {
    result_.out_of_budget = result_.steps.size() >= options_.max_evaluations;
    return !result_.out_of_budget;
  }

  // Scores a set and keeps it if it is the best so far: smaller among those
  // that meet the tolerance, else of lower score.
  Result<bool> evaluate(const Names& names) {
    TSR_ASSIGN_OR_RETURN(const double score, score_(names));
    if (std::isnan(score)) {
      return Status(TSR_INVALID_ARGUMENT, "fallback search: the score with " +
                                              std::to_string(names.size()) +
                                              " layers is NaN");
    }
    const bool met = score <= options_.tolerance;
    const bool is_first = result_.steps.empty();
    const bool is_better =
        met ? !result_.met || names.size() < result_.names.size()
            : !result_.met && score < result_.score;
    if (is_first || is_better) {
      result_.names = names;
      result_.score = score;
      result_.met = met;
    }
    result_.steps.push_back({names, score, met});
    return met;
  }

  Names prefix(size_t count) const {
    return {ranking_.begin(), ranking_.begin() + static_cast<ptrdiff_t>(count)};
  }

  Status find_prefix() {
    TSR_ASSIGN_OR_RETURN(bool met, evaluate({}));
    size_t failed = 0;
    size_t next = 1;
    while (!met && failed < ranking_.size()) {
      if (!has_budget()) return {};
      next = std::min(failed == 0 ? size_t{1} : failed * 2, ranking_.size());
      TSR_ASSIGN_OR_RETURN(met, evaluate(prefix(next)));
      if (!met) failed = next;
    }
    if (!met || result_.names.empty()) return {};
    while (next - failed > 1) {
      if (!has_budget()) return {};
      const size_t middle = failed + (next - failed) / 2;
      TSR_ASSIGN_OR_RETURN(met, evaluate(prefix(middle)));
      (met ? next : failed) = middle;
    }
    return {};
  }

  Status prune() {
    // The last layer is needed: bisection has just tried without it.
    for (size_t i = result_.names.size(); i-- > 1;) {
      if (!has_budget()) return {};
      Names fewer = result_.names;
      fewer.erase(fewer.begin() + static_cast<ptrdiff_t>(i - 1));
      TSR_ASSIGN_OR_RETURN([[maybe_unused]] const bool met, evaluate(fewer));
    }
    return {};
  }

  const FallbackSearch& options_;
  const Names& ranking_;
  const ScoreFallback& score_;
  FallbackSet result_;
};

}  // namespace

Result<FallbackSet> search_fallback(const FallbackSearch& search,
                                    const std::vector<std::string>& ranking,
                                    const ScoreFallback& score) {
  if (std::isnan(search.tolerance)) {
    return Status(TSR_INVALID_ARGUMENT,
                  "fallback search: the tolerance is NaN");
  }
  if (search.max_evaluations == 0) {
    return Status(TSR_INVALID_ARGUMENT,
                  "fallback search: no evaluations to spend");
  }
  return Search(search, ranking, score).run();
}

}  // namespace tessera::quant
