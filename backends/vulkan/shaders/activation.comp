#version 460
// SPDX-License-Identifier: Apache-2.0
//
// The rows of x as the products read them, in the order of the packed weight's
// columns: f32, codes as bytes, or f16.  A work-group for a row.
#extension GL_GOOGLE_include_directive : require
#include "base.glsl"
#include "activation.glsl"

#define VALUES_F32 0u
#define VALUES_BYTES 1u
#define VALUES_F16 2u
layout(constant_id = 1) const uint VALUES = VALUES_F32;

void store(int row, int c, float v, int shift) {
  const uint64_t at = uint64_t(row) * uint64_t(args.columns) + uint64_t(c);
  if (VALUES == VALUES_BYTES) {
    store_byte(args.values + at, int(v) + shift);
  } else if (VALUES == VALUES_F16) {
    store_half(args.values + at * 2ul, f32_to_f16(v));
  } else {
    F32s(args.values + at * 4ul).v[0] = v;
  }
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
    if (c < args.columns) store(row, c, value, 0);
  }
}

void main() {
  args = place.v;
  const int lane = int(gl_LocalInvocationIndex);
  int row = int(gl_WorkGroupID.x);
  do {
    if (args.act_quant == ACT_Q8) {
      store_q8(row);
      continue;
    }
    Coding coding;
    coding.shift = 0;
    const bool is_float = args.act_quant == ACT_FLOAT;
    if (!is_float) {
      coding = code_row(row);
      if (lane == 0) {
        F32s(args.scales).v[row] = coding.scale;
        I32s(args.shifts).v[row] = coding.shift;
      }
    }
    for (int c = lane; c < args.columns; c += int(GROUP)) {
      const float v = input_at(row, c);
      store(row, c,
            is_float ? v : encode(v, coding, args.act_quant == ACT_F8_DYNAMIC),
            coding.shift);
    }
  } while ((row += int(gl_NumWorkGroups.x)) < args.rows);
}
