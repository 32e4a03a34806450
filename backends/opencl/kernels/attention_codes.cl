// SPDX-License-Identifier: Apache-2.0
//
// Codes of probabilities, bit for bit as numerics.md section 2.

#define MAX_INTEGER_KEYS 133000
// Steps whose sums of codes times V are exact in f32: 64 * 16 * 127 * 127 is
// below 2^24.
#define EXACT_STEPS 64

// Number of k with distance <= thresholds[k - 1], which falls with k, from a
// guess of it.
static int probability_code(global const int* thresholds, int distance,
                            int code) {
  while (code < 127 && distance <= thresholds[code]) ++code;
  while (code > 0 && distance > thresholds[code - 1]) --code;
  return code;
}

// 127 exp(-distance / unit), where thresholds[0] is the greatest distance whose
// code is 1: about log(254) units.
static int16 guess_codes(global const int* thresholds, int16 distances) {
  const float per_unit = -5.537f / ((float)thresholds[0] + 1.0f);
  const float16 p = portable_exp(convert_float16(distances) * per_unit);
  return clamp(convert_int16(p * 127.0f + 0.5f), 0, 127);
}
