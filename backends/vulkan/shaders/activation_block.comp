#version 460
// SPDX-License-Identifier: Apache-2.0
//
// The rows of x as linear_block.comp reads them: panels of ROWS rows, column
// after column.  An invocation for a row.
#extension GL_GOOGLE_include_directive : require
#define BLOCK_FORM
#include "base.glsl"
#include "block.glsl"
#include "activation.glsl"

layout(constant_id = 1) const uint ROWS = 1u;
layout(constant_id = 2) const uint INTEGER = 0u;   // codes as i32
layout(constant_id = 3) const uint X_TEXELS = 0u;  // 0: x is read by address

layout(binding = 0) uniform usamplerBuffer x_texels;

// Columns c .. c + 3 of a row, where they are elements k .. k + 3 of x.
vec4 read_four(int row, int k) {
  const int64_t element = row * args.x.stride + k;
  if (args.x.dtype == TSR_F32) {
    return uintBitsToFloat(texelFetch(x_texels, int(element >> 2)));
  }
  const uvec4 words = texelFetch(x_texels, int(element >> 3));
  const uvec2 pair = (element & 4) == 0 ? words.xy : words.zw;
  if (args.x.dtype == TSR_BF16) {
    return uintBitsToFloat(uvec4(pair.x << 16, pair.x & 0xffff0000u,
                                 pair.y << 16, pair.y & 0xffff0000u));
  }
  return vec4(f16_to_f32(pair.x & 0xffffu), f16_to_f32(pair.x >> 16),
              f16_to_f32(pair.y & 0xffffu), f16_to_f32(pair.y >> 16));
}

// What stored columns c .. c + 3 of a row hold; 0 in padding.
vec4 input_four(int row, int c) {
  if (X_TEXELS == 0u) {
    return vec4(input_at(row, c), input_at(row, c + 1), input_at(row, c + 2),
                input_at(row, c + 3));
  }
  const int within = c % args.padded_group;
  const int k = c / args.padded_group * args.group_size + within;
  const int end = min(args.group_size - within, args.K - k);
  return mix(vec4(0.0), read_four(row, k),
             lessThan(ivec4(0, 1, 2, 3), ivec4(end)));
}

Coding code_row(int row) {
  float largest = 0.0;
  bool finite = true;
  for (int c = 0; c < args.columns; c += 4) {
    const vec4 v = abs(input_four(row, c));
    largest = max(largest, max(max(v.x, v.y), max(v.z, v.w)));
    finite = finite && is_finite(v.x) && is_finite(v.y) && is_finite(v.z) &&
             is_finite(v.w);
  }
  return row_coding(finite ? largest : 0.0, finite, row);
}

uint64_t row_place;  // of this invocation's column 0

void store(int c, float v) {
  const uint64_t place = row_place + uint64_t(uint(c) * ROWS * 4u);
  if (INTEGER != 0u) {
    I32s(place).v[0] = int(v);
  } else {
    F32s(place).v[0] = v;
  }
}

// Codes of 32 values with a scale of their own, as the numbers they stand for.
void store_q8(int row) {
  for (int begin = 0; begin < args.columns; begin += 32) {
    const int end = min(begin + 32, args.columns);
    float amax = 0.0;
    bool finite = true;
    for (int c = begin; c < end; ++c) {
      const float v = input_at(row, c);
      amax = max(amax, abs(v));
      finite = finite && is_finite(v);
    }
    const Coding coding = dynamic_coding(finite ? amax : 0.0, finite, 127.0);
    for (int c = begin; c < end; ++c) {
      precise const float value =
          encode(input_at(row, c), coding, false) * coding.scale;
      store(c, value);
    }
  }
}

void main() {
  args = place.v;
  const int row = int(gl_WorkGroupID.x * LANES) + lane_index();
  if (row >= args.rows) return;
  const int panel = row / int(ROWS);
  row_place = args.values +
              uint64_t((int64_t(panel) * args.columns * int(ROWS) +
                        row % int(ROWS)) * 4);
  if (args.act_quant == ACT_Q8) {
    store_q8(row);
    return;
  }
  Coding coding;
  const bool is_float = args.act_quant == ACT_FLOAT;
  if (!is_float) {
    coding = code_row(row);
    F32s(args.scales).v[row] = coding.scale;
  }
  for (int c = 0; c < args.columns; c += 4) {
    const vec4 x = input_four(row, c);
    for (int i = 0; i < 4; ++i) {
      const float v = i == 0 ? x.x : i == 1 ? x.y : i == 2 ? x.z : x.w;
      store(c + i,
            is_float ? v : encode(v, coding, args.act_quant == ACT_F8_DYNAMIC));
    }
  }
}
