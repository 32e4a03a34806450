#version 460
// SPDX-License-Identifier: Apache-2.0
//
// The rows of x as linear_block.comp reads them: panels of ROWS rows, word after
// word, of which one holds a float or PER_WORD codes.  A work-group for a row.
#extension GL_GOOGLE_include_directive : require
#define BLOCK_FORM
#include "base.glsl"
#include "block.glsl"
#include "activation.glsl"

layout(constant_id = 1) const uint ROWS = 1u;
layout(constant_id = 2) const uint PER_WORD = 0u;  // 4 or 2 codes; 0: a float
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

uint largest_bits(vec4 v) {
  const uvec4 bits = floatBitsToUint(v) & 0x7fffffffu;
  return max(max(bits.x, bits.y), max(bits.z, bits.w));
}

// Bits of magnitudes are in the order of the magnitudes, and of what is not
// finite above them.
Coding code_row(int row) {
  uint top = 0u;
  for (int c = 4 * lane_index(); c < args.columns; c += 4 * int(LANES)) {
    top = max(top, largest_bits(input_four(row, c)));
  }
  top = max_of_lanes(top);
  const bool finite = top < 0x7f800000u;
  return row_coding(finite ? uintBitsToFloat(top) : 0.0, finite, row);
}

uint64_t row_place;  // of the row's word 0

void store_word(int word, uint bits) {
  U32s(row_place + uint64_t(uint(word) * ROWS * 4u)).v[0] = bits;
}

void store_float(int c, float v) { store_word(c, floatBitsToUint(v)); }

// Columns c .. c + 3.
void store_codes(int c, ivec4 v) {
  if (PER_WORD == 4u) {
    const uvec4 bytes = uvec4(v) & 0xffu;
    store_word(c / 4, bytes.x | bytes.y << 8 | bytes.z << 16 | bytes.w << 24);
  } else {
    store_word(c / 2, uint(v.x) & 0xffffu | uint(v.y) << 16);
    store_word(c / 2 + 1, uint(v.z) & 0xffffu | uint(v.w) << 16);
  }
}

// Codes of 32 values with a scale of their own, as the numbers they stand for.
void store_q8(int row) {
  for (int begin = 32 * lane_index(); begin < args.columns;
       begin += 32 * int(LANES)) {
    uint top = 0u;
    for (int c = begin; c < begin + 32; c += 4) {
      if (c < args.columns) top = max(top, largest_bits(input_four(row, c)));
    }
    const bool finite = top < 0x7f800000u;
    const Coding coding =
        dynamic_coding(finite ? uintBitsToFloat(top) : 0.0, finite, 127.0);
    for (int c = begin; c < min(begin + 32, args.columns); ++c) {
      precise const float value =
          encode(input_at(row, c), coding, false) * coding.scale;
      store_float(c, value);
    }
  }
}

void store_row(int row) {
  Coding coding;
  const bool is_float = args.act_quant == ACT_FLOAT;
  if (!is_float) {
    coding = code_row(row);
    if (lane_index() == 0) F32s(args.scales).v[row] = coding.scale;
  }
  for (int c = 4 * lane_index(); c < args.columns; c += 4 * int(LANES)) {
    vec4 x = input_four(row, c);
    if (!is_float) {
      const bool is_f8 = args.act_quant == ACT_F8_DYNAMIC;
      x = vec4(encode(x.x, coding, is_f8), encode(x.y, coding, is_f8),
               encode(x.z, coding, is_f8), encode(x.w, coding, is_f8));
    }
    if (PER_WORD != 0u) {
      store_codes(c, ivec4(x));
    } else {
      store_float(c, x.x);
      store_float(c + 1, x.y);
      store_float(c + 2, x.z);
      store_float(c + 3, x.w);
    }
  }
}

void main() {
  args = place.v;
  const int words = PER_WORD == 0u ? args.columns : args.columns / int(PER_WORD);
  int row = int(gl_WorkGroupID.x);
  do {
    const int panel = row / int(ROWS);
    row_place = args.values + uint64_t((int64_t(panel) * words * int(ROWS) +
                                        row % int(ROWS)) *
                                       4);
    if (args.act_quant == ACT_Q8) {
      store_q8(row);
    } else {
      store_row(row);
    }
  } while ((row += int(gl_NumWorkGroups.x)) < args.rows);
}
