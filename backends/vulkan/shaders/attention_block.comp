#version 460
// SPDX-License-Identifier: Apache-2.0
//
// Float attention in blocks: one pass over the cache, LANES keys at a time, with
// running maxima and sums.  Lanes are keys in products with K, and parts of a row
// in sums of V.
// Source: Milakov and Gimelshein, arXiv:1805.02867, section 3.
#extension GL_GOOGLE_include_directive : require
#define BLOCK_FORM
#include "base.glsl"
#include "block.glsl"
#include "attention_args.glsl"
#include "attention_parts.glsl"

layout(binding = 0) uniform usamplerBuffer pool_texels;
layout(binding = 1) uniform usamplerBuffer query_texels;

// Codes of a texel, texels of a row, and how many of those a lane reads.
const uint PER_TEXEL = KV_FORMAT == KV_F32 ? 4u : KV_FORMAT <= KV_BF16 ? 8u : 16u;
const uint ROW_TEXELS = HEAD_DIM / PER_TEXEL;
const uint LANE_TEXELS = (ROW_TEXELS + LANES - 1u) / LANES;
const uint Q_VALUES = ROWS * PER_TEXEL;
const uint Q_TEXELS = (Q_VALUES + 4u * LANES - 1u) / (4u * LANES);
const uint LANE_VALUES = LANE_TEXELS * PER_TEXEL;
const uint SUMS = ROWS * LANE_VALUES;
#define MAX_Q_TEXELS 16
#define MAX_SUMS 64

float sums[MAX_SUMS];
shared float results[MAX_SUMS * 64];

// Codes 4 i .. 4 i + 3 of a texel.
vec4 codes_of(uvec4 texel, uint i) {
  if (KV_FORMAT == KV_F32) return uintBitsToFloat(texel);
  if (KV_FORMAT == KV_F16) {
    return vec4(unpackHalf2x16(texel[2u * i]),
                unpackHalf2x16(texel[2u * i + 1u]));
  }
  if (KV_FORMAT == KV_BF16) {
    const uvec2 pair = uvec2(texel[2u * i], texel[2u * i + 1u]);
    return uintBitsToFloat(uvec4(pair.x << 16, pair.x & 0xffff0000u,
                                 pair.y << 16, pair.y & 0xffff0000u));
  }
  const int bits = int(texel[i]);
  return vec4(ivec4(bitfieldExtract(bits, 0, 8), bitfieldExtract(bits, 8, 8),
                    bitfieldExtract(bits, 16, 8), bits >> 24));
}

float max_of_lanes(float x) {
  for (uint step = 1u; step < LANES; step *= 2u) {
    x = max(x, subgroupShuffle(x, gl_SubgroupInvocationID ^ step));
  }
  return x;
}

float sum_of_lanes(float x) {
  for (uint step = 1u; step < LANES; step *= 2u) {
    x += subgroupShuffle(x, gl_SubgroupInvocationID ^ step);
  }
  return x;
}

// Of this lane's key: products with the rows.
void multiply_keys(int row_texel, int query, inout float scores[MAX_ROWS]) {
  [[unroll]] for (uint r = 0u; r < ROWS; ++r) scores[r] = 0.0;
  for (uint t = 0u; t < ROW_TEXELS; ++t) {
    uvec4 q[MAX_Q_TEXELS];
    [[unroll]] for (uint i = 0u; i < Q_TEXELS; ++i) {
      q[i] = texelFetch(query_texels, query + int(i * LANES));
    }
    query += int(Q_VALUES / 4u);
    const uvec4 texel = texelFetch(pool_texels, row_texel + int(t));
    [[unroll]] for (uint four = 0u; four < PER_TEXEL / 4u; ++four) {
      const vec4 codes = codes_of(texel, four);
      [[unroll]] for (uint i = 0u; i < 4u; ++i) {
        [[unroll]] for (uint r = 0u; r < ROWS; ++r) {
          const uint at = (four * 4u + i) * ROWS + r;
          scores[r] += uintBitsToFloat(block_value(q[BLOCK_TEXEL(at)], at)) *
                       codes[i];
        }
      }
    }
  }
}

// sums = sums * factors + weights times V, whose rows begin at the lanes' texels.
void add_values(int row_texel, float weights[MAX_ROWS],
                float factors[MAX_ROWS]) {
  [[unroll]] for (uint i = 0u; i < SUMS; ++i) {
    sums[i] *= factors[i / LANE_VALUES];
  }
  [[unroll]] for (uint key = 0u; key < LANES; ++key) {
    const int row = subgroupShuffle(row_texel, key) + lane_index();
    float weight[MAX_ROWS];
    [[unroll]] for (uint r = 0u; r < ROWS; ++r) {
      weight[r] = subgroupShuffle(weights[r], key);
    }
    [[unroll]] for (uint t = 0u; t < LANE_TEXELS; ++t) {
      const uvec4 texel = texelFetch(pool_texels, row + int(t * LANES));
      [[unroll]] for (uint four = 0u; four < PER_TEXEL / 4u; ++four) {
        const vec4 codes = codes_of(texel, four);
        [[unroll]] for (uint i = 0u; i < 4u; ++i) {
          [[unroll]] for (uint r = 0u; r < ROWS; ++r) {
            sums[r * LANE_VALUES + t * PER_TEXEL + four * 4u + i] +=
                weight[r] * codes[i];
          }
        }
      }
    }
  }
}

// The offset of a key's row of K in the pool.
uint64_t find_row(Part part, int key, out uint64_t block, out uint row) {
  const int64_t logical = int64_t(part.seq) * args.max_blocks_per_seq +
                          key / args.kv.block_size;
  int index = I32s(args.block_table).v[uint(logical)];
  if (index < 0 || index >= args.kv.num_blocks) {
    report_fault(args.fault, FAULT_BLOCK, index);
    index = 0;
  }
  block = uint64_t(index) * args.kv.block_bytes;
  row = uint(kv_head_index() * args.kv.block_size + key % args.kv.block_size);
  return block + uint64_t(row) * args.kv.row_bytes;
}

void store_rows(Part part, float totals[MAX_ROWS]) {
  [[unroll]] for (uint r = 0u; r < ROWS; ++r) {
    [[unroll]] for (uint i = 0u; i < LANE_VALUES; ++i) {
      results[(r * LANE_VALUES + i) * LANES + uint(lane_index())] =
          divide(sums[r * LANE_VALUES + i], totals[r]);
    }
  }
  const int heads = num_heads();
  for (uint i = 0u; i < SUMS; ++i) {
    const int r = int(i / LANE_VALUES);
    const int t = int(i % LANE_VALUES / PER_TEXEL);
    const int d = (t * int(LANES) + lane_index()) * int(PER_TEXEL) +
                  int(i % PER_TEXEL);
    if (r / int(HEADS) >= part.num_tokens || r % int(HEADS) >= heads ||
        d >= int(HEAD_DIM)) {
      continue;
    }
    float y = results[i * LANES + uint(lane_index())];
    if (KV_FORMAT == KV_I8_CHANNEL) {
      const int row = args.kv.num_kv_heads + kv_head_index();
      y *= F32s(args.kv_scale).v[row * int(HEAD_DIM) + d];
    }
    store_place(args.y, part.first_token + r / int(HEADS),
                (first_head() + r % int(HEADS)) * int(HEAD_DIM) + d, y);
  }
}

void main() {
  args = place.v;
  const Part part = find_part();
  if (part.num_tokens == 0) return;
  // The keys that a row sees, and those that any row does.
  int begins[MAX_ROWS];
  int ends[MAX_ROWS];
  [[unroll]] for (uint r = 0u; r < ROWS; ++r) {
    const int token = min(int(r / HEADS), part.num_tokens - 1);
    ends[r] = args.mask == MASK_FULL ? part.seq_len : part.position + token + 1;
    begins[r] = args.mask == MASK_SLIDING ? max(0, ends[r] - args.window) : 0;
  }
  const int end = ends[ROWS - 1u];
  const int query = query_block() / 4 + lane_index();
  float tops[MAX_ROWS];
  float totals[MAX_ROWS];
  [[unroll]] for (uint r = 0u; r < ROWS; ++r) {
    tops[r] = -INFINITE;
    totals[r] = 0.0;
  }
  [[unroll]] for (uint i = 0u; i < SUMS; ++i) sums[i] = 0.0;
  for (int first = begins[0]; first < end; first += int(LANES)) {
    const int key = first + lane_index();
    uint64_t block;
    uint row;
    const uint64_t codes = find_row(part, min(key, end - 1), block, row);
    const int row_texel = int(codes >> 4);
    float k_scale = 1.0;
    float v_scale = 1.0;
    if (KV_FORMAT == KV_I8_TOKEN) {
      const uint64_t scales = args.kv.address + block;
      k_scale = F32s(scales + args.kv.k_scale_offset).v[row];
      v_scale = F32s(scales + args.kv.v_scale_offset).v[row];
    }
    float scores[MAX_ROWS];
    multiply_keys(row_texel, query, scores);
    float weights[MAX_ROWS];
    float factors[MAX_ROWS];
    [[unroll]] for (uint r = 0u; r < ROWS; ++r) {
      const bool seen = key >= begins[r] && key < ends[r];
      const float score = seen ? scores[r] * k_scale : -INFINITE;
      const float top = max(tops[r], max_of_lanes(score));
      // A row that sees nothing yet keeps its state, which is 0.
      const float base = top == -INFINITE ? 0.0 : top;
      factors[r] = portable_exp(tops[r] - base);
      const float p = portable_exp(score - base);
      totals[r] = totals[r] * factors[r] + p;
      weights[r] = p * v_scale;
      tops[r] = top;
    }
    add_values(row_texel + int(args.kv.v_offset >> 4), weights, factors);
  }
  [[unroll]] for (uint r = 0u; r < ROWS; ++r) totals[r] = sum_of_lanes(totals[r]);
  store_rows(part, totals);
}
