// SPDX-License-Identifier: Apache-2.0
//
// How the rows of x become what the products read: quantized as numerics.md
// section 1 says.

#define ACT_FLOAT 0
#define ACT_I8_DYNAMIC 1
#define ACT_I8_STATIC 2
#define ACT_U8_STATIC 3
#define ACT_I8_MIX 4
#define ACT_I4_DYNAMIC 5
#define ACT_F8_DYNAMIC 6
#define ACT_Q8 7

struct Args {
  RowPlace x;
  uint64_t values;       // [rows, columns]
  uint64_t scales;       // F32 [rows]
  uint64_t shifts;       // I32 [rows]: of bytes, code - zero point + shift
  uint64_t permutation;  // 0: none, like multiplier
  uint64_t multiplier;
  int rows;
  int K;
  int columns;  // stored ones: groups are padded
  int group_size;
  int padded_group;
  int act_quant;
  int num_decode_rows;
  int zero_point;
  float static_scale;
  float static_inv;
};
READ_ARGS_ONCE(Args)
#ifndef ACT_KIND
#define ACT_KIND args.act_quant
#endif

// What stored column c of a row holds; 0 in padding.
float input_at(int row, int c) {
  const int within = c % args.padded_group;
  const int k = c / args.padded_group * args.group_size + within;
  if (within >= args.group_size || k >= args.K) return 0.0;
  int feature = k;
  if (args.permutation != 0ul) feature = I32s(args.permutation).v[k];
  precise float v = load_place(args.x, row, feature);
  if (args.multiplier != 0ul) v = v * F32s(args.multiplier).v[feature];
  return v;
}

// How the codes of a row follow from x.
struct Coding {
  float inv;
  float lo;  // of code - zero point
  float hi;
  float scale;
  int shift;     // code - zero point + shift is an s8
  bool is_zero;  // all codes are 0
};

Coding dynamic_coding(float amax, bool finite, float max_code) {
  Coding coding;
  const bool tiny = amax < uintBitsToFloat(0x0d800000u);  // 2^-100
  coding.is_zero = !finite || tiny;
  coding.inv = coding.is_zero ? 0.0 : divide(max_code, amax);
  coding.lo = -max_code;
  coding.hi = max_code;
  coding.shift = 0;
  precise const float scale = amax * divide(1.0, max_code);
  coding.scale = finite ? (tiny ? 0.0 : scale) : NOT_A_NUMBER;
  return coding;
}

Coding row_coding(float amax, bool finite, int row) {
  int act = ACT_KIND;
  if (act == ACT_I8_MIX) {
    act = row < args.num_decode_rows ? ACT_I8_STATIC : ACT_I8_DYNAMIC;
  }
  if (act == ACT_F8_DYNAMIC) return dynamic_coding(amax, finite, 448.0);
  if (act == ACT_I8_DYNAMIC) return dynamic_coding(amax, finite, 127.0);
  if (act == ACT_I4_DYNAMIC) return dynamic_coding(amax, finite, 7.0);
  Coding coding;
  const int lowest = act == ACT_U8_STATIC ? 0 : -128;
  coding.is_zero = !finite;
  coding.inv = args.static_inv;
  coding.lo = float(lowest - args.zero_point);
  coding.hi = float(lowest + 255 - args.zero_point);
  coding.shift = -128 - lowest + args.zero_point;
  coding.scale = finite ? args.static_scale : NOT_A_NUMBER;
  return coding;
}

// The nearest E4M3 value, ties to even, of |x| up to 448 and a little.
float round_to_f8(float x) {
  const float magnitude = abs(x);
  const uint bits = floatBitsToUint(magnitude);
  float rounded = uintBitsToFloat((bits + 0x7ffffu + ((bits >> 20) & 1u)) &
                                  0xfff00000u);
  if (magnitude < 0.015625) {
    precise const float shifted = magnitude + 24576.0;
    rounded = shifted - 24576.0;
  }
  rounded = min(rounded, 448.0);
  return x < 0.0 ? -rounded : rounded;
}

float encode(float x, Coding coding, bool is_f8) {
  if (coding.is_zero) return is_f8 ? coding.scale : 0.0;
  precise const float product = x * coding.inv;
  if (is_f8) {
    precise const float value = round_to_f8(product) * coding.scale;
    return value;
  }
  // Clamping before rounding is the same, for the ends are integers.
  return roundEven(clamp(product, coding.lo, coding.hi));
}
