#version 460
// SPDX-License-Identifier: Apache-2.0
//
// Y = epilogue(X . W^T) in blocks: a work-group has a panel of ROWS rows and
// COLUMNS vectors of LANES columns of y.  Chunks of W are texels; values of x are
// read a vector at a time and handed to all lanes, once for all columns.
#extension GL_GOOGLE_include_directive : require
#define BLOCK_FORM
#include "base.glsl"
#include "block.glsl"
#include "linear_codes.glsl"
#include "linear.glsl"

#define SCALES_END 0u
#define SCALES_CODES 1u
#define SCALES_GROUPS 2u

layout(constant_id = 11) const uint DIRECT = 0u;  // y is f32 and just the sums
// What scales multiply: a group's products where there is one row or where they
// are integers, else its codes; at the end, where there is one group.
layout(constant_id = 12) const uint SCALING = SCALES_END;
// Chunks whose texels are read together: a driver may call a function for each
// texel, around which no sum stays in a register.
layout(constant_id = 13) const uint STEP = 1u;

layout(binding = 0) uniform usamplerBuffer code_texels;
layout(binding = 1) uniform usamplerBuffer x_texels;
layout(binding = 2) uniform samplerBuffer scale_texels;
layout(binding = 3) uniform samplerBuffer zero_texels;
layout(binding = 4) uniform samplerBuffer min_texels;

#define MAX_ROWS 16
#define MAX_COLUMNS 8
#define MAX_CHUNK 32
#define MAX_SUMS (MAX_ROWS * MAX_COLUMNS)
#define MAX_STEP 4
#define MAX_X_TEXELS 32  // of a step: MAX_ROWS * MAX_CHUNK / 4 / LANES

const uint ROWS_AT_ONCE = ROWS < 4u ? ROWS : 4u;
const uint SUMS = ROWS * COLUMNS;
const uint X_VALUES = STEP * ROWS * CHUNK_VALUES;
const uint X_TEXELS = (X_VALUES + 4u * LANES - 1u) / (4u * LANES);

// Of the block, as vectors of columns: of the group at hand, and sums.
float scales[MAX_COLUMNS];
float zeros[MAX_COLUMNS];
float mins[MAX_COLUMNS];
float parts[MAX_SUMS];
float sums[MAX_SUMS];
int integers[MAX_SUMS];
shared uint results[4096];  // SUMS * LANES: 16 rows of a tile

int block_tile() { return int(gl_WorkGroupID.y * COLUMNS * LANES / 64u); }
int block_row() { return int(gl_WorkGroupID.x * ROWS); }
// Within the tile, of this lane.
int tile_column(uint c) {
  return int(gl_WorkGroupID.y * COLUMNS * LANES % 64u + c * LANES) +
         lane_index();
}

void load_group(int tile, int g) {
  [[unroll]] for (uint c = 0u; c < COLUMNS; ++c) {
    const int at = (tile * args.num_groups + g) * 64 + tile_column(c);
    if (SCALING != SCALES_END) scales[c] = texelFetch(scale_texels, at).x;
    if (HAS_ZERO != 0u) zeros[c] = texelFetch(zero_texels, at).x;
    if (HAS_MIN != 0u) mins[c] = texelFetch(min_texels, at).x;
  }
}

// Column 4 * four + i of a chunk: W's factor of a product.
float factor_of(vec4 codes, uint i, uint c) {
  float w = codes[i];
  if (HAS_MIN != 0u) return w * scales[c] + mins[c];
  if (HAS_ZERO != 0u) w = w - zeros[c];
  if (SCALING == SCALES_CODES) w = w * scales[c];
  return w;
}

// Of chunk `s` of a step, to the sums of ROWS_AT_ONCE rows.
void add_products(Chunk chunks[MAX_COLUMNS], uvec4 x[MAX_X_TEXELS], uint s,
                  uint first) {
  [[unroll]] for (uint four = 0u; four < CHUNK_VALUES / 4u; ++four) {
    vec4 codes[MAX_COLUMNS];
    ivec4 whole[MAX_COLUMNS];
    [[unroll]] for (uint c = 0u; c < COLUMNS; ++c) {
      if (INTEGER != 0u) {
        whole[c] = decode_whole(chunks[c], four);
        if (HAS_ZERO != 0u) whole[c] -= int(zeros[c]);
      } else {
        codes[c] = decode_four(chunks[c], four);
      }
    }
    [[unroll]] for (uint i = 0u; i < 4u; ++i) {
      float factors[MAX_COLUMNS];
      [[unroll]] for (uint c = 0u; c < COLUMNS; ++c) {
        if (INTEGER == 0u) factors[c] = factor_of(codes[c], i, c);
      }
      [[unroll]] for (uint j = 0u; j < ROWS_AT_ONCE; ++j) {
        const uint r = first + j;
        const uint at = (s * CHUNK_VALUES + four * 4u + i) * ROWS + r;
        const uint value = block_value(x[BLOCK_TEXEL(at)], at);
        [[unroll]] for (uint c = 0u; c < COLUMNS; ++c) {
          if (INTEGER != 0u) {
            integers[r * COLUMNS + c] += int(value) * whole[c][i];
          } else {
            parts[r * COLUMNS + c] += uintBitsToFloat(value) * factors[c];
          }
        }
      }
    }
  }
}

void end_group(int g, int tile) {
  if (SCALING != SCALES_GROUPS) return;
  [[unroll]] for (uint i = 0u; i < SUMS; ++i) {
    const uint c = i % COLUMNS;
    if (INTEGER != 0u) {
      const int sum = integers[i];
      const int n = tile * 64 + tile_column(c);
      sums[i] = fma_exact(g == 0 ? biased(sum, n) : float(sum), scales[c],
                          sums[i]);
      integers[i] = 0;
    } else {
      sums[i] += parts[i] * scales[c];
      parts[i] = 0.0;
    }
  }
}

uint result_of(uint i) {
  if (SCALING == SCALES_GROUPS) return floatBitsToUint(sums[i]);
  return INTEGER != 0u ? uint(integers[i]) : floatBitsToUint(parts[i]);
}

// y[row, n] from what the products gave.
void finish_result(uint result, int row, int n, uint64_t scale_at) {
  const float scale2 = args.scale2 != 0ul ? F32s(args.scale2).v[n] : 1.0;
  float scale = 1.0;
  if (SCALING == SCALES_END) scale = load_scale(scale_at);
  if (INTEGER == 0u) {
    precise const float v = uintBitsToFloat(result) * scale * scale2;
    finish(v, row, n);
  } else if (GROUPED == 0u && args.y.dtype == TSR_I32) {
    store_sum(int(result), row, n);
  } else {
    precise const float factor = F32s(args.row_scales).v[row] *
                                 (GROUPED != 0u ? scale2 : scale);
    precise const float v =
        (GROUPED != 0u ? uintBitsToFloat(result) : biased(int(result), n)) *
        factor;
    finish(v, row, n);
  }
}

void store_direct(int tile) {
  [[unroll]] for (uint i = 0u; i < SUMS; ++i) {
    const int row = block_row() + int(i / COLUMNS);
    const int n = tile * 64 + tile_column(i % COLUMNS);
    if (row >= args.M || n < args.n_begin || n >= args.n_end) continue;
    const int64_t at = row * args.y.stride + (n - args.n_begin);
    U32s(args.y.address + at * 4).v[0] = result_of(i);
  }
}

void store_finished(int tile) {
  [[unroll]] for (uint i = 0u; i < SUMS; ++i) {
    results[i * LANES + uint(lane_index())] = result_of(i);
  }
  for (uint i = 0u; i < SUMS; ++i) {
    const int row = block_row() + int(i / COLUMNS);
    const int column = tile_column(i % COLUMNS);
    const int n = tile * 64 + column;
    if (row >= args.M || n < args.n_begin || n >= args.n_end) continue;
    finish_result(results[i * LANES + uint(lane_index())], row, n,
                  uint64_t(tile * args.num_groups) * 64ul + uint64_t(column));
  }
}

void main() {
  args = place.v;
  const int tile = block_tile() + args.n_begin / 64;
  [[unroll]] for (uint i = 0u; i < SUMS; ++i) {
    parts[i] = 0.0;
    sums[i] = 0.0;
    integers[i] = 0;
  }
  int codes_at = tile * int(args.tile_bytes / (CHUNK_WORDS * 4u));
  int x_at = block_row() * (args.columns / 4) + lane_index();
  for (int g = 0; g < args.num_groups; ++g) {
    load_group(tile, g);
    for (int i = 0; i < args.group_chunks; i += int(STEP)) {
      uvec4 x[MAX_X_TEXELS];
      [[unroll]] for (uint t = 0u; t < X_TEXELS; ++t) {
        x[t] = texelFetch(x_texels, x_at + int(t * LANES));
      }
      Chunk chunks[MAX_STEP][MAX_COLUMNS];
      [[unroll]] for (uint s = 0u; s < STEP; ++s) {
        [[unroll]] for (uint c = 0u; c < COLUMNS; ++c) {
          chunks[s][c] = fetch_chunk(code_texels,
                                     codes_at + int(s * 64u) + tile_column(c));
        }
      }
      codes_at += int(STEP * 64u);
      x_at += int(X_VALUES / 4u);
      // Few enough that their sums stay in registers.
      [[unroll]] for (uint r = 0u; r < ROWS; r += ROWS_AT_ONCE) {
        [[unroll]] for (uint s = 0u; s < STEP; ++s) {
          add_products(chunks[s], x, s, r);
        }
      }
    }
    end_group(g, tile);
  }
  if (DIRECT != 0u) {
    store_direct(tile);
  } else {
    store_finished(tile);
  }
}
