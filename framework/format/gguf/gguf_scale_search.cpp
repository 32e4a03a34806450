// SPDX-License-Identifier: Apache-2.0
//
// Every line is one f32 operation in ggml's order, so this file must be
// compiled without FMA contraction.

#include "framework/format/gguf/gguf_scale_search.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cassert>
#include <cmath>

namespace tessera::format {
namespace {

constexpr size_t kMostValues = 32;  // that share a scale
constexpr float kSmallestAmax = 1e-15f;

uint8_t clamped_code(float x, int max_code) {
  return static_cast<uint8_t>(std::clamp(round_to_int(x), 0, max_code));
}

// x is about scale * code + offset.
struct Line {
  float scale;
  float offset;
};

float weighted_error(std::span<const float> x, std::span<const float> weights,
                     std::span<const uint8_t> codes, Line line) {
  float error = 0.0f;
  for (size_t i = 0; i < x.size(); ++i) {
    const float difference =
        line.scale * static_cast<float>(codes[i]) + line.offset - x[i];
    error += weights[i] * (difference * difference);
  }
  return error;
}

// Weighted sums of the codes c and of c times x.
struct CodeSums {
  float c = 0.0f;
  float c2 = 0.0f;
  float xc = 0.0f;
};

void take_codes(std::span<const float> x, float min, float inverse_scale,
                int max_code, std::span<uint8_t> out_codes) {
  for (size_t i = 0; i < x.size(); ++i) {
    out_codes[i] = clamped_code(inverse_scale * (x[i] - min), max_code);
  }
}

CodeSums sum_codes(std::span<const float> x, std::span<const float> weights,
                   std::span<const uint8_t> codes) {
  CodeSums sums;
  for (size_t i = 0; i < x.size(); ++i) {
    const auto code = static_cast<float>(codes[i]);
    sums.c += weights[i] * code;
    sums.c2 += weights[i] * code * code;
    sums.xc += weights[i] * code * x[i];
  }
  return sums;
}

// One rung of the symmetric ladder: sum_xc and sum_c2 of signed codes.
struct SignedSums {
  float xc = 0.0f;
  float c2 = 0.0f;
};

SignedSums take_signed_codes(std::span<const float> x,
                             std::span<const float> weights,
                             float inverse_scale, int half,
                             std::span<uint8_t> out_codes) {
  SignedSums sums;
  for (size_t i = 0; i < x.size(); ++i) {
    const int code =
        std::clamp(round_to_int(inverse_scale * x[i]), -half, half - 1);
    out_codes[i] = static_cast<uint8_t>(code + half);
    const float weight = weights.empty() ? x[i] * x[i] : weights[i];
    const auto c = static_cast<float>(code);
    sums.xc += weight * x[i] * c;
    sums.c2 += weight * c * c;
  }
  return sums;
}

// Moves single codes while that shortens the distance to x.
void refine_codes(std::span<const float> x, std::span<const float> weights,
                  int max_code, SignedSums& sums, std::span<uint8_t> codes) {
  for (int round = 0; round < 5; ++round) {
    bool moved = false;
    for (size_t i = 0; i < x.size(); ++i) {
      const auto old = static_cast<float>(codes[i]);
      SignedSums without = {sums.xc - weights[i] * x[i] * old,
                            sums.c2 - weights[i] * old * old};
      if (without.xc <= 0.0f || without.c2 <= 0.0f) continue;
      const uint8_t code =
          clamped_code(x[i] * without.c2 / without.xc, max_code);
      if (code == codes[i]) continue;
      const auto c = static_cast<float>(code);
      without.xc += weights[i] * x[i] * c;
      without.c2 += weights[i] * c * c;
      if (without.xc * without.xc * sums.c2 > sums.xc * sums.xc * without.c2) {
        sums = without;
        codes[i] = code;
        moved = true;
      }
    }
    if (!moved) return;
  }
}

}  // namespace

int32_t round_to_int(float x) {
  // 1.5 * 2^23: the sum's last bit is worth 1, and it is rounded to nearest
  // even.
  const auto bits = std::bit_cast<uint32_t>(x + 12582912.0f);
  return static_cast<int32_t>(bits & 0x007fffffU) - 0x00400000;
}

ScaleAndMin search_scale_and_min(std::span<const float> x,
                                 std::span<const float> weights, int max_code,
                                 const Ladder& ladder,
                                 std::span<uint8_t> out_codes) {
  assert(x.size() <= kMostValues);
  float sum_w = weights[0];
  float sum_x = weights[0] * x[0];
  for (size_t i = 1; i < x.size(); ++i) {
    sum_w += weights[i];
    sum_x += weights[i] * x[i];
  }
  const auto [lowest, highest] = std::minmax_element(x.begin(), x.end());
  const float min = std::min(*lowest, 0.0f);
  const float max = *highest;
  if (max <= min) {
    std::fill(out_codes.begin(), out_codes.end(), uint8_t{0});
    return {0.0f, -min};
  }

  const auto top = static_cast<float>(max_code);
  const float inverse = top / (max - min);
  Line best = {1.0f / inverse, min};
  take_codes(x, min, inverse, max_code, out_codes);
  float best_error = weighted_error(x, weights, out_codes, best);

  std::array<uint8_t, kMostValues> storage;
  const std::span<uint8_t> codes = std::span(storage).first(x.size());
  for (int rung = 0; rung <= ladder.last; ++rung) {
    const float steps =
        ladder.first + ladder.step * static_cast<float>(rung) + top;
    take_codes(x, best.offset, steps / (max - best.offset), max_code, codes);
    const CodeSums sums = sum_codes(x, weights, codes);
    const float determinant = sum_w * sums.c2 - sums.c * sums.c;
    if (!(determinant > 0.0f)) continue;
    Line fit = {(sum_w * sums.xc - sum_x * sums.c) / determinant,
                (sums.c2 * sum_x - sums.c * sums.xc) / determinant};
    if (fit.offset > 0.0f) fit = {sums.xc / sums.c2, 0.0f};
    const float error = weighted_error(x, weights, codes, fit);
    if (error < best_error) {
      best = fit;
      best_error = error;
      std::copy(codes.begin(), codes.end(), out_codes.begin());
    }
  }
  return {best.scale, -best.offset};
}

float search_symmetric_scale(std::span<const float> x,
                             std::span<const float> weights, int half,
                             std::span<uint8_t> out_codes) {
  assert(x.size() <= kMostValues);
  float largest = 0.0f;  // with its sign; the first of equals
  for (const float value : x) {
    if (std::fabs(value) > std::fabs(largest)) largest = value;
  }
  if (std::fabs(largest) < kSmallestAmax) {
    std::fill(out_codes.begin(), out_codes.end(), uint8_t{0});
    return 0.0f;
  }

  const auto top = static_cast<float>(half);
  SignedSums sums =
      take_signed_codes(x, weights, -top / largest, half, out_codes);
  float scale = sums.c2 != 0.0f ? sums.xc / sums.c2 : 0.0f;
  float best = scale * sums.xc;
  std::array<uint8_t, kMostValues> storage;
  const std::span<uint8_t> codes = std::span(storage).first(x.size());
  for (int rung = -9; rung <= 9; ++rung) {
    if (rung == 0) continue;
    const float inverse = -(top + 0.1f * static_cast<float>(rung)) / largest;
    sums = take_signed_codes(x, weights, inverse, half, codes);
    if (sums.c2 > 0.0f && sums.xc * sums.xc > best * sums.c2) {
      scale = sums.xc / sums.c2;
      best = scale * sums.xc;
      std::copy(codes.begin(), codes.end(), out_codes.begin());
    }
  }
  return scale;
}

float search_positive_scale(std::span<const float> x,
                            std::span<const float> weights, int max_code,
                            std::span<uint8_t> out_codes) {
  const float max = *std::max_element(x.begin(), x.end());
  if (max < kSmallestAmax) {
    std::fill(out_codes.begin(), out_codes.end(), uint8_t{0});
    return 0.0f;
  }
  const auto top = static_cast<float>(max_code);
  float best_inverse = top / max;
  float best_error = INFINITY;
  for (const int rung : {0, -4, -3, -2, -1, 1, 2, 3, 4}) {
    const float inverse = (0.1f * static_cast<float>(rung) + top) / max;
    take_codes(x, 0.0f, inverse, max_code, out_codes);
    const float error =
        weighted_error(x, weights, out_codes, {1.0f / inverse, 0.0f});
    if (error < best_error) {
      best_error = error;
      best_inverse = inverse;
    }
  }

  take_codes(x, 0.0f, best_inverse, max_code, out_codes);
  const CodeSums all = sum_codes(x, weights, out_codes);
  SignedSums sums = {all.xc, all.c2};
  refine_codes(x, weights, max_code, sums, out_codes);
  return sums.c2 > 0.0f ? sums.xc / sums.c2 : 0.0f;
}

}  // namespace tessera::format
