#version 460
// SPDX-License-Identifier: Apache-2.0
//
// Float attention in blocks: one pass over the cache, a round of KEYS at a time,
// with running maxima and sums.
// Source: Milakov and Gimelshein, arXiv:1805.02867, section 3.
#extension GL_GOOGLE_include_directive : require
#define BLOCK_FORM
#include "base.glsl"
#include "block.glsl"
#include "attention_args.glsl"
#include "attention_parts.glsl"
#include "attention_rows.glsl"

bvec4 sees(ivec4 keys, int begin, int end) {
  return bvec4(ivec4(greaterThanEqual(keys, ivec4(begin))) &
               ivec4(lessThan(keys, ivec4(end))));
}

// Lanes that read the same part of rows have sums of their own.
float sum_of_spans(float x) {
  [[unroll]] for (uint bit = 0u; bit < MAX_LANE_BITS; ++bit) {
    if (1u << bit >= SPAN && 1u << bit < LANES) {
      x += subgroupShuffle(x, gl_SubgroupInvocationID ^ (1u << bit));
    }
  }
  return x;
}

// Of V's channel `d`.
float channel_scale(int d) {
  if (KV_FORMAT != KV_I8_CHANNEL) return 1.0;
  const int row = args.kv.num_kv_heads + kv_head_index();
  return F32s(args.kv_scale).v[row * int(HEAD_DIM) + d];
}

void store_rows(Part part, float totals[MAX_ROWS]) {
  [[unroll]] for (uint i = 0u; i < LANE_VALUES; ++i) {
    const int texel = int(i / PER_TEXEL * LANES) + lane_index();
    const int d = texel * int(PER_TEXEL) + int(i % PER_TEXEL);
    const float scale = channel_scale(min(d, int(HEAD_DIM) - 1));
    [[unroll]] for (uint r = 0u; r < ROWS; ++r) {
      const float y =
          divide(sum_of_spans(sums[r * LANE_VALUES + i]), totals[r]);
      store_value(part, r, i, y * scale);
    }
  }
}

void main() {
  args = place.v;
  const Part part = find_part();
  if (part.num_tokens == 0) return;
  int begins[MAX_ROWS];
  int ends[MAX_ROWS];
  find_seen(part, begins, ends);
  const int end = ends[ROWS - 1u];
  load_queries(query_block() / 4);
  float tops[MAX_ROWS];
  float totals[MAX_ROWS];
  [[unroll]] for (uint r = 0u; r < ROWS; ++r) {
    tops[r] = -INFINITE;
    totals[r] = 0.0;
  }
  [[unroll]] for (uint i = 0u; i < SUMS; ++i) sums[i] = 0.0;
  Walk walk = start_walk();
  int first = begins[0] / 4 * 4;
  do {
    const ivec4 keys = first + lane_index() + ivec4(0, 1, 2, 3) * int(LANES);
    const Keys found =
        find_keys(part, first + lane_index() * 4, end - 1, walk);
    touch_keys(walk, found);
    vec4 scores[MAX_ROWS];
    [[unroll]] for (uint r = 0u; r < ROWS; ++r) scores[r] = vec4(0.0);
    const int count = min(4, (end - first + int(LANES) - 1) / int(LANES));
    int i = 0;
    [[dont_unroll]] do {
      float products[MAX_ROWS];
      multiply_keys(found.texels, uint(i) * LANES, products);
      [[unroll]] for (uint r = 0u; r < ROWS; ++r) {
        scores[r] = mix(scores[r], vec4(products[r]),
                        equal(ivec4(i), ivec4(0, 1, 2, 3)));
      }
    } while (++i < count);
    vec4 weights[MAX_ROWS];
    float factors[MAX_ROWS];
    [[unroll]] for (uint r = 0u; r < ROWS; ++r) {
      const bvec4 seen = sees(keys, begins[r], ends[r]);
      const vec4 score =
          mix(vec4(-INFINITE), scores[r] * found.k_scales, seen);
      const vec2 halves = max(score.xy, score.zw);
      const float top = max(tops[r], max_of_lanes(max(halves.x, halves.y)));
      // A row that sees nothing yet keeps its state, which is 0.
      const float base = top == -INFINITE ? 0.0 : top;
      factors[r] = portable_exp(tops[r] - base);
      const vec4 p =
          vec4(portable_exp(score.x - base), portable_exp(score.y - base),
               portable_exp(score.z - base), portable_exp(score.w - base));
      totals[r] = totals[r] * factors[r] + ((p.x + p.y) + (p.z + p.w));
      // A scale that nobody wrote may be no number.
      weights[r] = mix(vec4(0.0), p * found.v_scales, seen);
      tops[r] = top;
    }
    [[unroll]] for (uint i = 0u; i < SUMS; ++i) {
      sums[i] *= factors[i / LANE_VALUES];
    }
    const ivec4 v_rows = found.texels + walk.v_texels;
    i = 0;
    [[dont_unroll]] do {
      float row_weights[MAX_ROWS];
      [[unroll]] for (uint r = 0u; r < ROWS; ++r) {
        row_weights[r] = weights[r].x;
        weights[r] = weights[r].yzwx;
      }
      add_values(v_rows, uint(i) * LANES, row_weights);
    } while (++i < count);
    walk.iterations += 10u;
  } while ((first += int(KEYS)) < end);
  [[unroll]] for (uint r = 0u; r < ROWS; ++r) totals[r] = sum_of_lanes(totals[r]);
  end_walk(walk, part);
  store_rows(part, totals);
}
