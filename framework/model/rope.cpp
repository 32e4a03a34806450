// SPDX-License-Identifier: Apache-2.0

#include "framework/model/rope.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <utility>

namespace tessera {
namespace {

constexpr double kTwoPi = 2.0 * std::numbers::pi;

// base^(-2i / head_dim), i = 0 .. head_dim / 2 - 1.
std::vector<double> powers(double base, uint32_t head_dim) {
  std::vector<double> inverse(head_dim / 2);
  for (size_t i = 0; i < inverse.size(); ++i) {
    const double exponent = 2.0 * static_cast<double>(i) / head_dim;
    inverse[i] = 1.0 / std::pow(base, exponent);
  }
  return inverse;
}

// NTK scaling: a larger base once the text is longer than in training.
double dynamic_base(const ModelConfig& config, uint32_t seq_len) {
  const RopeConfig& rope = config.rope;
  const double dim = config.head_dim;
  const double stretch =
      static_cast<double>(std::max(seq_len, config.max_positions)) /
      config.max_positions;
  if (config.head_dim == 2) return rope.theta;  // one pair, whose power is 0
  return rope.theta * std::pow(rope.factor * stretch - (rope.factor - 1.0),
                               dim / (dim - 2.0));
}

// Long waves are divided by the factor, short ones kept, those between blended.
double llama3_frequency(const RopeConfig& rope, double inverse) {
  const double old_len = rope.original_max_positions;
  const double wave = kTwoPi / inverse;
  if (wave < old_len / rope.high_freq_factor) return inverse;
  if (wave > old_len / rope.low_freq_factor) return inverse / rope.factor;
  const double smooth = (old_len / wave - rope.low_freq_factor) /
                        (rope.high_freq_factor - rope.low_freq_factor);
  return (1.0 - smooth) * inverse / rope.factor + smooth * inverse;
}

// The pair that turns `rotations` times over the training length.
double yarn_pair(const RopeConfig& rope, uint32_t head_dim, double rotations) {
  return head_dim *
         std::log(rope.original_max_positions / (rotations * kTwoPi)) /
         (2.0 * std::log(rope.theta));
}

std::vector<double> yarn_frequencies(const RopeConfig& rope,
                                     uint32_t head_dim) {
  double low = yarn_pair(rope, head_dim, rope.beta_fast);
  double high = yarn_pair(rope, head_dim, rope.beta_slow);
  if (rope.truncate) {
    low = std::floor(low);
    high = std::ceil(high);
  }
  low = std::max(low, 0.0);
  high = std::min(high, head_dim - 1.0);
  if (low == high) high += 0.001;  // as the source: no division by zero

  std::vector<double> inverse = powers(rope.theta, head_dim);
  for (size_t i = 0; i < inverse.size(); ++i) {
    const double ramp =
        std::clamp((static_cast<double>(i) - low) / (high - low), 0.0, 1.0);
    inverse[i] = inverse[i] / rope.factor * ramp + inverse[i] * (1.0 - ramp);
  }
  return inverse;
}

double yarn_mscale(double scale, double mscale) {
  return scale <= 1.0 ? 1.0 : 0.1 * mscale * std::log(scale) + 1.0;
}

double yarn_attention_factor(const RopeConfig& rope) {
  if (rope.attention_factor) return *rope.attention_factor;
  if (rope.mscale != 0.0 && rope.mscale_all_dim != 0.0) {
    return yarn_mscale(rope.factor, rope.mscale) /
           yarn_mscale(rope.factor, rope.mscale_all_dim);
  }
  return yarn_mscale(rope.factor, 1.0);
}

}  // namespace

RopeFrequencies rope_frequencies(const ModelConfig& config, uint32_t seq_len) {
  const RopeConfig& rope = config.rope;
  RopeFrequencies result;
  switch (rope.type) {
    case RopeType::kDefault:
      result.inverse = powers(rope.theta, config.head_dim);
      break;
    case RopeType::kLinear:
      result.inverse = powers(rope.theta, config.head_dim);
      for (double& inverse : result.inverse) inverse /= rope.factor;
      break;
    case RopeType::kDynamic:
      result.inverse = powers(dynamic_base(config, seq_len), config.head_dim);
      break;
    case RopeType::kLlama3:
      result.inverse = powers(rope.theta, config.head_dim);
      for (double& inverse : result.inverse) {
        inverse = llama3_frequency(rope, inverse);
      }
      break;
    case RopeType::kYarn:
      result.inverse = yarn_frequencies(rope, config.head_dim);
      result.attention_factor = yarn_attention_factor(rope);
      break;
  }
  return result;
}

RopeTable build_rope_table(const ModelConfig& config, uint32_t num_positions) {
  const RopeFrequencies frequencies = rope_frequencies(config, num_positions);
  const size_t half = frequencies.inverse.size();
  RopeTable table{num_positions, config.head_dim, {}};
  table.values.resize(size_t{num_positions} * config.head_dim);
  for (size_t position = 0; position < num_positions; ++position) {
    float* const row = table.values.data() + position * config.head_dim;
    for (size_t i = 0; i < half; ++i) {
      const double angle =
          static_cast<double>(position) * frequencies.inverse[i];
      row[i] =
          static_cast<float>(std::cos(angle) * frequencies.attention_factor);
      row[half + i] =
          static_cast<float>(std::sin(angle) * frequencies.attention_factor);
    }
  }
  return table;
}

}  // namespace tessera
