#version 460
// SPDX-License-Identifier: Apache-2.0
//
// Float attention in blocks: one pass over the cache, 2 * LANES keys at a
// time, with running maxima and sums.  Lanes are keys in products with K, and
// parts of a row in sums of V.  Every loop but those over keys and over texels of
// a row must unroll: in any other a driver keeps arrays in memory.
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
// Keys at a time: a lane has those of its index in two vectors, as x and y.  Not
// as an array: Mesa 22.3 unrolls a loop over them, in the one over rows, wrongly.
const uint KEYS = 2u * LANES;
#define MAX_Q_TEXELS 16
#define MAX_SUMS 128

float sums[MAX_SUMS];
shared float results[SUMS * LANES];

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

// Of this lane's keys: products with the rows.
void multiply_keys(ivec2 row_texels, int query, out vec2 scores[MAX_ROWS]) {
  [[unroll]] for (uint r = 0u; r < ROWS; ++r) scores[r] = vec2(0.0);
  for (uint t = 0u; t < ROW_TEXELS; ++t) {
    uvec4 q[MAX_Q_TEXELS];
    [[unroll]] for (uint i = 0u; i < Q_TEXELS; ++i) {
      q[i] = texelFetch(query_texels, query + int(i * LANES));
    }
    query += int(Q_VALUES / 4u);
    const uvec4 x = texelFetch(pool_texels, row_texels.x + int(t));
    const uvec4 y = texelFetch(pool_texels, row_texels.y + int(t));
    [[unroll]] for (uint four = 0u; four < PER_TEXEL / 4u; ++four) {
      const vec4 x_codes = codes_of(x, four);
      const vec4 y_codes = codes_of(y, four);
      [[unroll]] for (uint i = 0u; i < 4u; ++i) {
        [[unroll]] for (uint r = 0u; r < ROWS; ++r) {
          const uint at = (four * 4u + i) * ROWS + r;
          scores[r] += uintBitsToFloat(block_value(q[BLOCK_TEXEL(at)], at)) *
                       vec2(x_codes[i], y_codes[i]);
        }
      }
    }
  }
}

// sums = sums * factors + weights times V, whose rows begin at the lanes' texels:
// a few columns at a time, so that their sums stay in registers over the keys.
void add_values(ivec2 row_texels, vec2 weights[MAX_ROWS],
                float factors[MAX_ROWS]) {
  [[unroll]] for (uint i = 0u; i < SUMS; ++i) {
    sums[i] *= factors[i / LANE_VALUES];
  }
  [[unroll]] for (uint t = 0u; t < LANE_TEXELS; ++t) {
    uvec4 texels[KEYS];
    [[unroll]] for (uint key = 0u; key < KEYS; ++key) {
      const int row = subgroupShuffle(row_texels[key / LANES], key % LANES);
      texels[key] =
          texelFetch(pool_texels, row + lane_index() + int(t * LANES));
    }
    [[unroll]] for (uint four = 0u; four < PER_TEXEL / 4u; ++four) {
      [[unroll]] for (uint key = 0u; key < KEYS; ++key) {
        const vec4 codes = codes_of(texels[key], four);
        [[unroll]] for (uint r = 0u; r < ROWS; ++r) {
          const float weight =
              subgroupShuffle(weights[r][key / LANES], key % LANES);
          [[unroll]] for (uint i = 0u; i < 4u; ++i) {
            sums[r * LANE_VALUES + t * PER_TEXEL + four * 4u + i] +=
                weight * codes[i];
          }
        }
      }
    }
  }
}

// Reads a texel of each cache line of LANES rows that begin at the first lane's:
// as many lines at once as there are lanes, where the sums of V would wait for
// those of one row at a time.
uint touch_rows(int row_texel) {
  const uint LINE_TEXELS = 4u;  // 64 bytes
  const int first = subgroupShuffle(row_texel, 0u);
  uint touched = 0u;
  [[unroll]] for (uint i = 0u; i < ROW_TEXELS / LINE_TEXELS; ++i) {
    const int line = int(i * LANES) + lane_index();
    touched |= texelFetch(pool_texels, first + line * int(LINE_TEXELS)).x;
  }
  return touched;
}

// Where this work-group's KV head is in every block, in texels.
struct Head {
  int rows;  // of K
  int k_scales;
  int v_scales;
};
Head find_head() {
  const int first = kv_head_index() * int(BLOCK_SIZE);
  return Head(first * int(ROW_TEXELS),
              (int(args.kv.k_scale_offset) + first * 4) / 16,
              (int(args.kv.v_scale_offset) + first * 4) / 16);
}

// Value `i` of those that begin at a texel.
float load_scale_texel(int texel, int i) {
  return uintBitsToFloat(texelFetch(pool_texels, texel + i / 4)[i % 4]);
}

// A key's row of K, and its scales.
struct Key {
  int texel;
  float k_scale;
  float v_scale;
};

// Of a block that is none of the pool's, `fault` and the first block.
Key find_key(Part part, Head head, int key, inout int fault) {
  const int logical =
      part.seq * args.max_blocks_per_seq + key / int(BLOCK_SIZE);
  const int index = I32s(args.block_table).v[uint(logical)];
  const bool is_inside = index >= 0 && index < args.kv.num_blocks;
  fault = is_inside ? fault : index;
  const int block = is_inside ? index * int(args.kv.block_bytes / 16ul) : 0;
  const int row = key % int(BLOCK_SIZE);
  Key found = Key(block + head.rows + row * int(ROW_TEXELS), 1.0, 1.0);
  if (KV_FORMAT == KV_I8_TOKEN) {
    found.k_scale = load_scale_texel(block + head.k_scales, row);
    found.v_scale = load_scale_texel(block + head.v_scales, row);
  }
  return found;
}

bvec2 sees(ivec2 keys, int begin, int end) {
  return bvec2(keys.x >= begin && keys.x < end,
               keys.y >= begin && keys.y < end);
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
  const Head head = find_head();
  uint touched = 0u;
  const int v_texels = int(args.kv.v_offset / 16ul);
  int fault = 0;  // an index that is no block's; 0 is one
  for (int first = begins[0]; first < end; first += int(KEYS)) {
    const ivec2 keys = first + lane_index() + ivec2(0, LANES);
    const Key x = find_key(part, head, min(keys.x, end - 1), fault);
    const Key y = find_key(part, head, min(keys.y, end - 1), fault);
    // Prefill finds them in a cache: the part before had them.
    if (TOKENS == 1u) {
      touched |= touch_rows(x.texel) | touch_rows(y.texel) |
                 touch_rows(x.texel + v_texels) |
                 touch_rows(y.texel + v_texels);
    }
    vec2 scores[MAX_ROWS];
    multiply_keys(ivec2(x.texel, y.texel), query, scores);
    vec2 weights[MAX_ROWS];
    float factors[MAX_ROWS];
    [[unroll]] for (uint r = 0u; r < ROWS; ++r) {
      const vec2 score = mix(vec2(-INFINITE),
                             scores[r] * vec2(x.k_scale, y.k_scale),
                             sees(keys, begins[r], ends[r]));
      const float top = max(tops[r], max_of_lanes(max(score.x, score.y)));
      // A row that sees nothing yet keeps its state, which is 0.
      const float base = top == -INFINITE ? 0.0 : top;
      factors[r] = portable_exp(tops[r] - base);
      const vec2 p =
          vec2(portable_exp(score.x - base), portable_exp(score.y - base));
      totals[r] = totals[r] * factors[r] + (p.x + p.y);
      weights[r] = p * vec2(x.v_scale, y.v_scale);
      tops[r] = top;
    }
    add_values(ivec2(x.texel, y.texel) + v_texels, weights, factors);
  }
  [[unroll]] for (uint r = 0u; r < ROWS; ++r) totals[r] = sum_of_lanes(totals[r]);
  // Never: it gives the touches a use.
  if (args.kv.num_blocks < 0) {
    report_fault(args.fault, FAULT_BLOCK, int(touched));
  }
  if (fault != 0) report_fault(args.fault, FAULT_BLOCK, fault);
  store_rows(part, totals);
}
