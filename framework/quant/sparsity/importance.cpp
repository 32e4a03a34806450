// SPDX-License-Identifier: Apache-2.0
//
// Factors of the metrics, and selection without sorting.

#include "framework/quant/sparsity/importance.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <string>

namespace tessera::quant {
namespace {

Status missing(const std::string& metric, const std::string& what) {
  return Status(TSR_FAILED_PRECONDITION,
                "importance " + metric + ": needs " + what);
}

Status check_columns(const std::string& metric, uint64_t have, uint32_t K) {
  if (have == K) return {};
  return Status(TSR_INVALID_ARGUMENT,
                "importance " + metric + ": statistics of " +
                    std::to_string(have) +
                    " columns for K=" + std::to_string(K));
}

std::vector<float> wanda_factors(const ColumnStatistics& columns) {
  std::vector<float> factors;
  for (const double sum : columns.sum_squares) {
    factors.push_back(static_cast<float>(std::sqrt(sum)));
  }
  return factors;
}

// H^-1 = U^T U, so its diagonal is the squared lengths of the columns of U.
std::vector<float> sparse_gpt_factors(const GptqFactor& factor) {
  const size_t K = factor.K;
  std::vector<double> inverse_diagonal(K, 0.0);
  for (size_t i = 0; i < K; ++i) {
    for (size_t k = i; k < K; ++k) {
      const double u = double{factor.upper[i * K + k]};
      inverse_diagonal[k] += u * u;
    }
  }
  std::vector<float> factors(K);
  for (size_t k = 0; k < K; ++k) {
    factors[factor.order[k]] = static_cast<float>(1.0 / inverse_diagonal[k]);
  }
  return factors;
}

// `before(a, b)`: a score a is marked before b.
template <typename Before>
std::vector<uint8_t> mark_first(std::span<const float> values,
                                std::span<const float> factors, uint64_t count,
                                Before before) {
  std::vector<uint8_t> marks(values.size(), 0);
  if (count == 0) return marks;
  const size_t K = factors.size();
  const auto score = [&](size_t i) {
    return std::fabs(values[i]) * factors[i % K];
  };
  std::vector<float> scores(values.size());
  for (size_t i = 0; i < values.size(); ++i) scores[i] = score(i);
  const auto last = scores.begin() + static_cast<ptrdiff_t>(count - 1);
  std::nth_element(scores.begin(), last, scores.end(), before);
  const float limit = *last;

  auto num_ties =
      static_cast<uint64_t>(std::count(scores.begin(), last + 1, limit));
  for (size_t i = 0; i < values.size(); ++i) {
    const float s = score(i);
    if (before(s, limit)) {
      marks[i] = 1;
    } else if (s == limit && num_ties > 0) {
      marks[i] = 1;
      --num_ties;
    }
  }
  return marks;
}

}  // namespace

Result<std::vector<float>> importance_factors(Importance metric, uint32_t K,
                                              const ColumnStatistics* columns,
                                              const GptqFactor* factor) {
  if (K == 0) return Status(TSR_INVALID_ARGUMENT, "importance: K is 0");
  switch (metric) {
    case Importance::kMagnitude:
      break;
    case Importance::kWanda:
      if (columns == nullptr) return missing("wanda", "column statistics");
      TSR_RETURN_IF_ERROR(
          check_columns("wanda", columns->sum_squares.size(), K));
      return wanda_factors(*columns);
    case Importance::kSparseGpt:
      if (factor == nullptr) return missing("sparsegpt", "a hessian");
      TSR_RETURN_IF_ERROR(check_columns("sparsegpt", factor->K, K));
      return sparse_gpt_factors(*factor);
  }
  return std::vector<float>(K, 1.0f);
}

std::vector<uint8_t> mark_most_important(std::span<const float> values,
                                         std::span<const float> factors,
                                         uint64_t count) {
  return mark_first(values, factors, count, std::greater<>());
}

std::vector<uint8_t> mark_least_important(std::span<const float> values,
                                          std::span<const float> factors,
                                          uint64_t count) {
  return mark_first(values, factors, count, std::less<>());
}

}  // namespace tessera::quant
