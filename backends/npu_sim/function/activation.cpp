// SPDX-License-Identifier: Apache-2.0
//
// One f32 operation a line; compiled without FMA contraction.

#include "backends/npu_sim/function/activation.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "backends/npu_sim/function/float8.hpp"

namespace tessera::npu {
namespace {

constexpr float kSmallestAmax = 0x1p-100f;
constexpr int32_t kNumCodes = 256;

// The largest magnitude of a row; NaN if one is not finite.
float amax_of(const float* x, int64_t count) {
  uint32_t amax = 0;
  for (int64_t i = 0; i < count; ++i) {
    amax = std::max(amax, std::bit_cast<uint32_t>(x[i]) & 0x7FFFFFFFU);
  }
  if (amax >= 0x7F800000U) return std::numeric_limits<float>::quiet_NaN();
  return std::bit_cast<float>(amax);
}

}  // namespace

int32_t round_to_code(float x_times_inv, int32_t zero_point, int32_t lo,
                      int32_t hi) {
  if (std::isnan(x_times_inv)) return zero_point;
  const float rounded =
      std::clamp(std::nearbyint(x_times_inv), -0x1p24f, 0x1p24f);
  return std::clamp(static_cast<int32_t>(rounded) + zero_point, lo, hi);
}

float quantize_dynamic(const float* x, int64_t count, int32_t max_code,
                       int16_t* out_codes) {
  std::fill_n(out_codes, count, int16_t{0});
  const float amax = amax_of(x, count);
  if (std::isnan(amax)) return amax;
  if (amax < kSmallestAmax) return 0.0f;
  const auto max = static_cast<float>(max_code);
  const float inv = max / amax;
  for (int64_t i = 0; i < count; ++i) {
    const float product = x[i] * inv;
    out_codes[i] =
        static_cast<int16_t>(round_to_code(product, 0, -max_code, max_code));
  }
  const float reciprocal = 1.0f / max;
  return amax * reciprocal;
}

float quantize_f8(const float* x, int64_t count, uint8_t* out_codes) {
  std::fill_n(out_codes, count, uint8_t{0});
  const float amax = amax_of(x, count);
  if (std::isnan(amax)) return amax;
  if (amax < kSmallestAmax) return 0.0f;
  const float inv = kMostF8 / amax;
  for (int64_t i = 0; i < count; ++i) out_codes[i] = f8_from_f32(x[i] * inv);
  const float reciprocal = 1.0f / kMostF8;
  return amax * reciprocal;
}

float quantize_static(const float* x, int64_t count,
                      const StaticActivation& activation, int32_t lo,
                      int16_t* out_codes) {
  std::fill_n(out_codes, count, int16_t{0});
  const float amax = amax_of(x, count);
  if (std::isnan(amax)) return amax;
  for (int64_t i = 0; i < count; ++i) {
    const float product = x[i] * activation.inv;
    const int32_t code =
        round_to_code(product, activation.zero_point, lo, lo + kNumCodes - 1);
    out_codes[i] = static_cast<int16_t>(code - activation.zero_point);
  }
  return activation.scale;
}

}  // namespace tessera::npu
