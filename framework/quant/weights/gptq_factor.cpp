// SPDX-License-Identifier: Apache-2.0
//
// The half of GPTQ that depends on the inputs alone.

#include <algorithm>
#include <cmath>
#include <numeric>
#include <string>
#include <utility>

#include "framework/quant/algebra/triangular.hpp"
#include "framework/quant/weights/gptq.hpp"

namespace tessera::quant {
namespace {

Status check_hessian(const Hessian& hessian) {
  const uint64_t K = hessian.K;
  if (K == 0 || hessian.values.size() != K * K) {
    return Status(TSR_INVALID_ARGUMENT,
                  std::to_string(hessian.values.size()) +
                      " values for a hessian of K=" + std::to_string(K));
  }
  for (uint64_t i = 0; i < K * K; ++i) {
    const float value = hessian.values[i];
    if (std::isfinite(value) && (i % (K + 1) != 0 || value >= 0.0f)) continue;
    return Status(TSR_INVALID_ARGUMENT,
                  "row " + std::to_string(i / K) + ": column " +
                      std::to_string(i % K) + " is " + std::to_string(value));
  }
  return {};
}

// a[i, j] := a[order[i], order[j]], with one row of extra memory.
void permute(uint32_t K, std::span<float> a, std::span<const uint32_t> order) {
  std::vector<float> spare(K);
  const auto row = [&](uint32_t i) { return a.begin() + ptrdiff_t{i} * K; };
  std::vector<bool> done(K, false);
  for (uint32_t start = 0; start < K; ++start) {
    if (done[start]) continue;
    std::copy_n(row(start), K, spare.begin());
    uint32_t to = start;
    for (; order[to] != start; to = order[to]) {
      std::copy_n(row(order[to]), K, row(to));
      done[to] = true;
    }
    std::copy_n(spare.begin(), K, row(to));
    done[to] = true;
  }
  for (uint32_t i = 0; i < K; ++i) {
    std::copy_n(row(i), K, spare.begin());
    for (uint32_t j = 0; j < K; ++j) row(i)[j] = spare[order[j]];
  }
}

// The mean of the diagonal over live features; dead ones are counted and given
// that mean, which leaves them independent of the rest.
double prepare_diagonal(Hessian* hessian, uint32_t* out_num_dead) {
  const uint64_t K = hessian->K;
  double sum = 0.0;
  uint32_t num_dead = 0;
  for (uint64_t k = 0; k < K; ++k) {
    const float value = hessian->values[k * (K + 1)];
    sum += double{value};
    if (value == 0.0f) ++num_dead;
  }
  *out_num_dead = num_dead;
  // With no feature alive each stands for itself, at any scale.
  const double mean =
      num_dead == K ? 1.0 : sum / static_cast<double>(K - num_dead);
  for (uint64_t k = 0; k < K; ++k) {
    float& value = hessian->values[k * (K + 1)];
    if (value == 0.0f) value = static_cast<float>(mean);
  }
  return mean;
}

constexpr double kFirstRetry = 0.01;

}  // namespace

Result<GptqFactor> factor_hessian(Hessian hessian, const GptqOptions& options,
                                  const ParallelFor& run) {
  const std::string what = "gptq: hessian";
  TSR_RETURN_IF_ERROR(check_hessian(hessian).annotate(what));
  if (!(options.damping >= 0.0 && options.damping <= 1.0)) {
    return Status(TSR_INVALID_ARGUMENT, "gptq: damping " +
                                            std::to_string(options.damping) +
                                            " is not in [0, 1]");
  }
  GptqFactor factor;
  factor.K = hessian.K;
  const uint64_t K = hessian.K;
  const double mean = prepare_diagonal(&hessian, &factor.num_dead);
  factor.order.resize(K);
  std::iota(factor.order.begin(), factor.order.end(), 0U);
  if (options.act_order) {
    std::stable_sort(
        factor.order.begin(), factor.order.end(), [&](uint64_t a, uint64_t b) {
          return hessian.values[a * (K + 1)] > hessian.values[b * (K + 1)];
        });
    permute(hessian.K, hessian.values, factor.order);
  }
  std::vector<float> undamped(K);
  for (uint64_t k = 0; k < K; ++k) undamped[k] = hessian.values[k * (K + 1)];

  factor.diagonal.resize(K);
  for (factor.damping = options.damping;; ++factor.num_retries) {
    for (uint64_t k = 0; k < K; ++k) {
      factor.diagonal[k] =
          static_cast<float>(double{undamped[k]} + factor.damping * mean);
      hessian.values[k * (K + 1)] = factor.diagonal[k];
    }
    Status status = inverse_upper_factor(hessian.K, hessian.values, run);
    if (status.ok()) break;
    if (factor.damping >= 1.0) {
      return std::move(status).annotate(what + ": damping 1 is not enough");
    }
    factor.damping =
        std::min(1.0, std::max(kFirstRetry, factor.damping * 10.0));
  }
  factor.upper = std::move(hessian.values);
  return factor;
}

}  // namespace tessera::quant
