// SPDX-License-Identifier: Apache-2.0
//
// Windows over sorted values, and constants per channel.

#include "framework/quant/activations/head_observer.hpp"

#include <algorithm>
#include <cmath>
#include <string>

#include "framework/quant/activations/static_activation.hpp"

namespace tessera::quant {
namespace {

// Absmax of the shortest window over the sorted values that holds `recall` of
// them; the first of equal ones.
float window_abs_max(std::vector<float>& values, double recall) {
  std::sort(values.begin(), values.end());
  const size_t n = values.size();
  const auto size =
      static_cast<size_t>(std::ceil(recall * static_cast<double>(n)));
  size_t best = 0;
  for (size_t i = 1; i + size <= n; ++i) {
    if (values[i + size - 1] - values[i] <
        values[best + size - 1] - values[best]) {
      best = i;
    }
  }
  return std::max(std::fabs(values[best]), std::fabs(values[best + size - 1]));
}

}  // namespace

Result<HeadObserver> HeadObserver::create(uint32_t num_heads, uint32_t head_dim,
                                          double recall) {
  if (num_heads == 0 || head_dim == 0) {
    return Status(TSR_INVALID_ARGUMENT,
                  "observer of " + std::to_string(num_heads) + " heads of " +
                      std::to_string(head_dim));
  }
  if (!(recall > 0.0 && recall <= 1.0)) {
    return Status(TSR_INVALID_ARGUMENT,
                  "recall " + std::to_string(recall) + " is not in (0, 1]");
  }
  return HeadObserver(num_heads, head_dim, recall);
}

Status HeadObserver::add(std::span<const float> batch) {
  const size_t token_size = size_t{num_heads_} * head_dim_;
  if (batch.size() % token_size != 0) {
    return Status(TSR_INVALID_ARGUMENT,
                  std::to_string(batch.size()) + " values are no tokens of " +
                      std::to_string(num_heads_) + " heads of " +
                      std::to_string(head_dim_));
  }
  for (size_t i = 0; i < batch.size(); ++i) {
    if (std::isfinite(batch[i])) continue;
    return Status(TSR_INVALID_ARGUMENT,
                  "token " + std::to_string(num_tokens_ + i / token_size) +
                      ": head " + std::to_string(i % token_size / head_dim_) +
                      " is not finite");
  }
  const size_t num_tokens = batch.size() / token_size;
  if (num_tokens == 0) return {};
  std::vector<float> values(num_tokens * head_dim_);
  for (uint32_t head = 0; head < num_heads_; ++head) {
    for (size_t t = 0; t < num_tokens; ++t) {
      const auto part =
          batch.subspan(t * token_size + size_t{head} * head_dim_, head_dim_);
      std::copy(part.begin(), part.end(),
                values.begin() + static_cast<ptrdiff_t>(t * head_dim_));
    }
    abs_max_[head] = std::max(abs_max_[head], window_abs_max(values, recall_));
  }
  num_tokens_ += num_tokens;
  return {};
}

Result<std::vector<float>> HeadObserver::scales() const {
  if (num_tokens_ == 0) {
    return Status(TSR_FAILED_PRECONDITION,
                  "no scale per head: the calibration set gave no tokens");
  }
  std::vector<float> scales(num_heads_);
  for (uint32_t head = 0; head < num_heads_; ++head) {
    scales[head] = static_activation(ActivationCodes::kSymmetricS8,
                                     -abs_max_[head], abs_max_[head])
                       .scale;
  }
  return scales;
}

Result<ChannelScales> choose_channel_scales(const ColumnStatistics& seen,
                                            bool symmetric) {
  if (seen.num_rows == 0) {
    return Status(TSR_FAILED_PRECONDITION,
                  "no scale per channel: the calibration set gave no tokens");
  }
  const auto codes = symmetric ? ActivationCodes::kSymmetricS8
                               : ActivationCodes::kAsymmetricS8;
  ChannelScales scales;
  for (size_t k = 0; k < seen.min.size(); ++k) {
    const StaticActivation channel =
        static_activation(codes, seen.min[k], seen.max[k]);
    scales.scale.push_back(channel.scale);
    scales.zero_point.push_back(channel.zero_point);
  }
  return scales;
}

}  // namespace tessera::quant
