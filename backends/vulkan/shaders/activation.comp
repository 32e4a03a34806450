#version 460
// SPDX-License-Identifier: Apache-2.0
//
// The rows of x as the products read them: f32 in the order of the packed
// weight's columns, quantized as numerics.md section 1 says.  A work-group for
// a row.
#extension GL_GOOGLE_include_directive : require
#include "base.glsl"

#define ACT_FLOAT 0
#define ACT_I8_DYNAMIC 1
#define ACT_I8_STATIC 2
#define ACT_U8_STATIC 3
#define ACT_I8_MIX 4
#define ACT_I4_DYNAMIC 5
#define ACT_F8_DYNAMIC 6
#define ACT_Q8 7

layout(buffer_reference, scalar, buffer_reference_align = 8) buffer Args {
  RowPlace x;
  uint64_t values;       // F32 [rows, columns]
  uint64_t scales;       // F32 [rows]
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
layout(push_constant) uniform Push { Args args; };

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
  bool is_zero;  // all codes are 0
};

Coding dynamic_coding(float amax, bool finite, float max_code) {
  Coding coding;
  const bool tiny = amax < uintBitsToFloat(0x0d800000u);  // 2^-100
  coding.is_zero = !finite || tiny;
  coding.inv = coding.is_zero ? 0.0 : divide(max_code, amax);
  coding.lo = -max_code;
  coding.hi = max_code;
  precise const float scale = amax * divide(1.0, max_code);
  coding.scale = finite ? (tiny ? 0.0 : scale) : NOT_A_NUMBER;
  return coding;
}

Coding row_coding(float amax, bool finite, int row) {
  int act = args.act_quant;
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
  return round_even(clamp(product, coding.lo, coding.hi));
}

void store(int row, int c, float v) {
  F32s(args.values).v[row * args.columns + c] = v;
}

Coding code_row(int row) {
  float largest = 0.0;
  bool finite = true;
  for (int c = int(gl_LocalInvocationIndex); c < args.columns;
       c += int(GROUP)) {
    const float v = input_at(row, c);
    largest = max(largest, abs(v));
    finite = finite && is_finite(v);
  }
  finite = !group_any(!finite);
  return row_coding(group_max(finite ? largest : 0.0), finite, row);
}

// Codes of 32 values with a scale of their own, as the numbers they stand for.
shared float block_values[64];

void store_q8(int row) {
  const int lane = int(gl_LocalInvocationIndex);
  for (int begin = 0; begin < args.columns; begin += int(GROUP)) {
    const int c = begin + lane;
    const float v = c < args.columns ? input_at(row, c) : 0.0;
    barrier();
    block_values[lane] = v;
    barrier();
    float amax = 0.0;
    bool finite = true;
    for (int i = lane / 32 * 32; i < lane / 32 * 32 + 32; ++i) {
      amax = max(amax, abs(block_values[i]));
      finite = finite && is_finite(block_values[i]);
    }
    const Coding coding = dynamic_coding(finite ? amax : 0.0, finite, 127.0);
    precise const float value = encode(v, coding, false) * coding.scale;
    if (c < args.columns) store(row, c, value);
  }
}

void main() {
  const int lane = int(gl_LocalInvocationIndex);
  for (int row = int(gl_WorkGroupID.x); row < args.rows;
       row += int(gl_NumWorkGroups.x)) {
    if (args.act_quant == ACT_Q8) {
      store_q8(row);
      continue;
    }
    Coding coding;
    const bool is_float = args.act_quant == ACT_FLOAT;
    if (!is_float) {
      coding = code_row(row);
      if (lane == 0) F32s(args.scales).v[row] = coding.scale;
    }
    for (int c = lane; c < args.columns; c += int(GROUP)) {
      const float v = input_at(row, c);
      store(row, c,
            is_float ? v : encode(v, coding, args.act_quant == ACT_F8_DYNAMIC));
    }
  }
}
