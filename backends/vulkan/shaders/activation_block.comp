#version 460
// SPDX-License-Identifier: Apache-2.0
//
// The rows of x as linear_block.comp reads them: panels of ROWS rows, word after
// word, of which one holds a float or PER_WORD codes.  A work-group for as many
// rows as a store of four words takes.
#extension GL_GOOGLE_include_directive : require
#define BLOCK_FORM
#include "base.glsl"
#include "block.glsl"

// Constants, not arguments: a driver may run both sides of every branch.
layout(constant_id = 1) const uint ROWS = 1u;
layout(constant_id = 2) const uint PER_WORD = 0u;  // 4 or 2 codes; 0: a float
layout(constant_id = 3) const uint X_DTYPE = 0u;   // 0: x is read by address
layout(constant_id = 4) const int ACT_QUANT = 0;
layout(constant_id = 5) const uint IS_DENSE = 0u;  // stored column c is x's

#define ACT_KIND ACT_QUANT
#include "activation.glsl"

layout(binding = 0) uniform usamplerBuffer x_texels;

#define MAX_QUAD 4
const uint QUAD = ROWS < 4u ? 1u : 4u;

// Columns c .. c + 3 of a row, where they are elements k .. k + 3 of x.
vec4 read_four(int row, int k) {
  const int element = row * int(args.x.stride) + k;
  if (X_DTYPE == TSR_F32) {
    return uintBitsToFloat(texelFetch(x_texels, element >> 2));
  }
  const uvec4 words = texelFetch(x_texels, element >> 3);
  const uvec2 pair = (element & 4) == 0 ? words.xy : words.zw;
  if (X_DTYPE == TSR_BF16) {
    return uintBitsToFloat(uvec4(pair.x << 16, pair.x & 0xffff0000u,
                                 pair.y << 16, pair.y & 0xffff0000u));
  }
  return vec4(f16_to_f32(pair.x & 0xffffu), f16_to_f32(pair.x >> 16),
              f16_to_f32(pair.y & 0xffffu), f16_to_f32(pair.y >> 16));
}

// What stored columns c .. c + 3 of a row hold; 0 in padding.
vec4 input_four(int row, int c) {
  if (X_DTYPE == 0u) {
    return vec4(input_at(row, c), input_at(row, c + 1), input_at(row, c + 2),
                input_at(row, c + 3));
  }
  int k = c;
  int end = args.K - k;
  if (IS_DENSE == 0u) {
    const int within = c % args.padded_group;
    k = c / args.padded_group * args.group_size + within;
    end = min(args.group_size - within, args.K - k);
  }
  return mix(vec4(0.0), read_four(row, k),
             lessThan(ivec4(0, 1, 2, 3), ivec4(end)));
}

// The same of the rows from `first` on; those past the last are the last.
void input_rows(int first, int c, out vec4 x[MAX_QUAD]) {
  [[unroll]] for (uint r = 0u; r < QUAD; ++r) {
    x[r] = input_four(min(first + int(r), args.rows - 1), c);
  }
}

uint largest_bits(vec4 v) {
  const uvec4 bits = floatBitsToUint(v) & 0x7fffffffu;
  return max(max(bits.x, bits.y), max(bits.z, bits.w));
}

// Bits of magnitudes are in the order of the magnitudes, and of what is not
// finite above them.
void code_rows(int first, out Coding codings[MAX_QUAD]) {
  uint tops[MAX_QUAD];
  [[unroll]] for (uint r = 0u; r < QUAD; ++r) tops[r] = 0u;
  int c = 4 * lane_index();
  do {
    vec4 x[MAX_QUAD];
    input_rows(first, min(c, args.columns - 4), x);
    [[unroll]] for (uint r = 0u; r < QUAD; ++r) {
      tops[r] = max(tops[r], largest_bits(x[r]));
    }
  } while ((c += 4 * int(LANES)) < args.columns);
  [[unroll]] for (uint r = 0u; r < QUAD; ++r) {
    const uint top = max_of_lanes(tops[r]);
    const bool finite = top < 0x7f800000u;
    codings[r] = row_coding(finite ? uintBitsToFloat(top) : 0.0, finite,
                            first + int(r));
  }
}

uint64_t rows_place;  // of the first row's word 0

// Word `word` of each row.
void store_words(int word, uvec4 bits) {
  const uint64_t at = rows_place + uint64_t(uint(word) * ROWS * 4u);
  if (QUAD == 1u) {
    U32s(at).v[0] = bits.x;
  } else {
    U32x4s(at).v[0] = bits;
  }
}

// Columns c .. c + 3 of each row.
void store_floats(int c, vec4 x[MAX_QUAD]) {
  if (QUAD == 1u) {
    U32x4s(rows_place + uint64_t(uint(c) * 4u)).v[0] = floatBitsToUint(x[0]);
    return;
  }
  [[unroll]] for (int i = 0; i < 4; ++i) {
    const vec4 column = vec4(x[0][i], x[1][i], x[2][i], x[3][i]);
    store_words(c + i, floatBitsToUint(column));
  }
}

void store_codes(int c, vec4 x[MAX_QUAD]) {
  uvec4 words;
  uvec4 seconds;  // of two codes each
  [[unroll]] for (uint r = 0u; r < QUAD; ++r) {
    const uvec4 v = uvec4(ivec4(x[r]));
    if (PER_WORD == 4u) {
      const uvec4 bytes = v & 0xffu;
      words[r] = bytes.x | bytes.y << 8 | bytes.z << 16 | bytes.w << 24;
    } else {
      words[r] = v.x & 0xffffu | v.y << 16;
      seconds[r] = v.z & 0xffffu | v.w << 16;
    }
  }
  store_words(c / int(PER_WORD), words);
  if (PER_WORD == 2u) store_words(c / 2 + 1, seconds);
}

void store_rows(int first) {
  Coding codings[MAX_QUAD];
  if (ACT_QUANT != ACT_FLOAT) {
    code_rows(first, codings);
    if (lane_index() == 0) {
      [[unroll]] for (uint r = 0u; r < QUAD; ++r) {
        F32s(args.scales).v[first + int(r)] = codings[r].scale;
      }
    }
  }
  int c = 4 * lane_index();
  if (c >= args.columns) return;
  do {
    vec4 x[MAX_QUAD];
    input_rows(first, c, x);
    if (ACT_QUANT != ACT_FLOAT) {
      const bool is_f8 = ACT_QUANT == ACT_F8_DYNAMIC;
      [[unroll]] for (uint r = 0u; r < QUAD; ++r) {
        x[r] = vec4(encode(x[r].x, codings[r], is_f8),
                    encode(x[r].y, codings[r], is_f8),
                    encode(x[r].z, codings[r], is_f8),
                    encode(x[r].w, codings[r], is_f8));
      }
    }
    if (PER_WORD != 0u) {
      store_codes(c, x);
    } else {
      store_floats(c, x);
    }
  } while ((c += 4 * int(LANES)) < args.columns);
}

// Codes of 32 values with a scale of their own, as the numbers they stand for.
void store_q8(int row, uint r) {
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
      U32s(rows_place + uint64_t((uint(c) * ROWS + r) * 4u)).v[0] =
          floatBitsToUint(value);
    }
  }
}

void main() {
  args = place.v;
  const int words = PER_WORD == 0u ? args.columns : args.columns / int(PER_WORD);
  int first = int(gl_WorkGroupID.x * QUAD);
  do {
    const int panel = first / int(ROWS);
    rows_place = args.values + uint64_t((int64_t(panel) * words * int(ROWS) +
                                         first % int(ROWS)) *
                                        4);
    if (ACT_QUANT == ACT_Q8) {
      for (uint r = 0u; r < QUAD; ++r) {
        if (first + int(r) < args.rows) store_q8(first + int(r), r);
      }
    } else {
      store_rows(first);
    }
  } while ((first += int(gl_NumWorkGroups.x * QUAD)) < args.rows);
}
