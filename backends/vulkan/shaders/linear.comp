#version 460
// SPDX-License-Identifier: Apache-2.0
//
// Y = epilogue(X . W^T): an invocation has one column of y and ROWS rows.
// Integer products are summed in f32 over as many columns as it holds exactly,
// then in i32.
#extension GL_GOOGLE_include_directive : require
#include "base.glsl"
#include "linear_codes.glsl"

layout(constant_id = 4) const uint SCALE_BITS = 0u;  // 0, 16 or 32
layout(constant_id = 5) const uint HAS_ZERO = 0u;
layout(constant_id = 6) const uint HAS_MIN = 0u;
layout(constant_id = 7) const uint INTEGER = 0u;
layout(constant_id = 8) const uint GROUPED = 0u;  // numerics.md section 1
layout(constant_id = 9) const uint ROWS = 1u;     // at most MAX_ROWS

#define MAX_ROWS 8
// 255 * 255 * 256 < 2^24: each of the four partial sums is exact.
const uint EXACT_CHUNKS = 1024u / CHUNK_VALUES;

layout(buffer_reference, scalar, buffer_reference_align = 8) buffer Args {
  uint64_t codes;
  uint64_t scales;
  uint64_t zeros;
  uint64_t mins;
  uint64_t scale2;  // 0: none, like the next two
  uint64_t quant_bias;
  uint64_t bias;
  uint64_t values;
  uint64_t row_scales;
  RowPlace y;
  RowPlace multiplier;
  RowPlace residual;
  uint64_t tile_bytes;
  int M;
  int columns;
  int n_begin;
  int n_end;
  int num_groups;
  int group_chunks;
  int activation;
  int accumulate;
};
layout(push_constant) uniform Push { Args args; };

float load_scale(uint64_t at) {
  if (SCALE_BITS == 32u) return F32s(args.scales + at * 4ul).v[0];
  if (SCALE_BITS == 16u) {
    return f16_to_f32(uint(U16s(args.scales + at * 2ul).v[0]));
  }
  return 1.0;
}

float activate(float v) {
  if (args.activation == 1) return portable_silu(v);
  if (args.activation == 2) return portable_gelu_erf(v);
  if (args.activation == 3) return portable_gelu_tanh(v);
  return v;
}

// y[row, n] from its scaled sum.
void finish(float sum, int row, int n) {
  const int i = n - args.n_begin;
  precise float v = sum;
  if (args.bias != 0ul) v = v + F32s(args.bias).v[n];
  v = activate(v);
  if (args.multiplier.dtype != 0) {
    v = v * load_place(args.multiplier, row, i);
  }
  if (args.residual.dtype != 0) {
    v = v + load_place(args.residual, row, i);
  } else if (args.accumulate != 0) {
    v = v + load_place(args.y, row, i);
  }
  store_place(args.y, row, i, v);
}

// f32(sum + QUANT_BIAS), rounded once.
float biased(int sum, int n) {
  if (args.quant_bias == 0ul) return float(sum);
  return float(int64_t(sum) + int64_t(I32s(args.quant_bias).v[n]));
}

void store_sum(int sum, int row, int n) {
  I32s place = I32s(args.y.address +
                    (row * args.y.stride + (n - args.n_begin)) * 4);
  place.v[0] = args.accumulate != 0 ? place.v[0] + sum : sum;
}

// parts[r] += x[row r, columns] * the codes of one chunk.
void multiply_chunk(uint64_t codes, uint64_t x, float scale, float zero,
                    float least, inout vec4 parts[MAX_ROWS]) {
  const Chunk chunk = load_chunk(codes);
  [[unroll]] for (uint i = 0u; i < CHUNK_VALUES / 4u; ++i) {
    vec4 w = decode_four(chunk, i);
    if (HAS_MIN != 0u) w = w * scale + least;
    if (HAS_ZERO != 0u) w = w - zero;
    [[unroll]] for (uint r = 0u; r < ROWS; ++r) {
      const uint64_t row = x + uint64_t(r * uint(args.columns)) * 4ul;
      parts[r] = F32x4s(row).v[i] * w + parts[r];
    }
  }
}

void main() {
  const int lane = int(gl_LocalInvocationIndex);
  const int tile = args.n_begin / int(GROUP) + int(gl_WorkGroupID.x);
  const int n = tile * int(GROUP) + lane;
  const int first_row = int(gl_WorkGroupID.y * ROWS);
  const uint chunk_bytes = 4u * CHUNK_WORDS * GROUP;
  uint64_t codes = args.codes + uint64_t(tile) * args.tile_bytes +
                   uint64_t(uint(lane) * 4u * CHUNK_WORDS);
  uint64_t x = args.values +
               uint64_t(first_row) * uint64_t(args.columns) * 4ul;
  vec4 parts[MAX_ROWS];
  float sums[MAX_ROWS];
  int integers[MAX_ROWS];
  [[unroll]] for (uint r = 0u; r < ROWS; ++r) {
    sums[r] = 0.0;
    integers[r] = 0;
  }
  float scale = 1.0;
  for (int g = 0; g < args.num_groups; ++g) {
    const uint64_t at =
        uint64_t(tile * args.num_groups + g) * GROUP + uint64_t(lane);
    scale = load_scale(at);
    const float zero = HAS_ZERO != 0u ? F32s(args.zeros + at * 4ul).v[0] : 0.0;
    const float least = HAS_MIN != 0u ? F32s(args.mins + at * 4ul).v[0] : 0.0;
    for (uint begin = 0u; begin < uint(args.group_chunks);
         begin += EXACT_CHUNKS) {
      const uint end = min(begin + EXACT_CHUNKS, uint(args.group_chunks));
      [[unroll]] for (uint r = 0u; r < ROWS; ++r) parts[r] = vec4(0.0);
      for (uint c = begin; c < end; ++c) {
        multiply_chunk(codes, x, scale, zero, least, parts);
        codes += chunk_bytes;
        x += CHUNK_VALUES * 4u;
      }
      [[unroll]] for (uint r = 0u; r < ROWS; ++r) {
        if (INTEGER != 0u) {
          const ivec4 exact = ivec4(parts[r]);
          integers[r] += exact.x + exact.y + exact.z + exact.w;
        } else {
          const float sum =
              (parts[r].x + parts[r].y) + (parts[r].z + parts[r].w);
          sums[r] += HAS_MIN != 0u ? sum : sum * scale;
        }
      }
    }
    if (INTEGER != 0u && GROUPED != 0u) {
      for (uint r = 0u; r < ROWS; ++r) {
        const float f = g == 0 ? biased(integers[r], n) : float(integers[r]);
        sums[r] = fma_exact(f, scale, sums[r]);
        integers[r] = 0;
      }
    }
  }
  if (n < args.n_begin || n >= args.n_end) return;
  const float scale2 = args.scale2 != 0ul ? F32s(args.scale2).v[n] : 1.0;
  const int count = min(int(ROWS), args.M - first_row);
  for (int r = 0; r < count; ++r) {
    const int row = first_row + r;
    if (INTEGER == 0u) {
      precise const float v = sums[r] * scale2;
      finish(v, row, n);
    } else if (GROUPED == 0u && args.y.dtype == TSR_I32) {
      store_sum(integers[r], row, n);
    } else {
      const float row_scale = F32s(args.row_scales).v[row];
      const float sum = GROUPED != 0u ? sums[r] : biased(integers[r], n);
      precise const float factor =
          row_scale * (GROUPED != 0u ? scale2 : scale);
      precise const float v = sum * factor;
      finish(v, row, n);
    }
  }
}
