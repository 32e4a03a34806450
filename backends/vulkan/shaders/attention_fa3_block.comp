#version 460
// SPDX-License-Identifier: Apache-2.0
//
// Integer attention in blocks, bit for bit as numerics.md section 2: one pass
// over K for the maximum of each row, then one over V, and over the K of rounds
// whose scores the first had no place for.  Every product and sum is of integers
// that f32 holds.
#extension GL_GOOGLE_include_directive : require
#define BLOCK_FORM
#include "base.glsl"
#include "block.glsl"
#include "attention_args.glsl"
#include "attention_parts.glsl"
#include "attention_rows.glsl"

layout(binding = 2) uniform usamplerBuffer distance_texels;

// 1: scores of all rounds have a place.  Else those of more keys are looked for,
// be there any or not: a driver that runs shaders on a CPU cannot leave a loop out.
layout(constant_id = 8) const uint KEEPS_ALL = 0u;

#define MAX_KEYS 133000
#define LOWEST (-16777216.0)  // below 512 * 127 * -128
// Keys whose products with V f32 adds up exactly: 1024 * 127 * 128 < 2^24.
#define EXACT_KEYS 1024u
// log2(127 / 0.5): a probability of half a code.
#define HALF_CODE_LOG 7.988684

float slopes[MAX_ROWS];  // log2 of a probability falls by that per distance

// Code k of a probability holds from the head's threshold k + 1, not included, to
// threshold k: distances are natural logarithms over a scale, of which half a
// code's, the first threshold, tells enough for a guess.
void load_slopes() {
  [[unroll]] for (uint r = 0u; r < ROWS; ++r) {
    const int first = distance_block(first_head() + int(r % HEADS));
    const uint half_code = texelFetch(distance_texels, first).y;
    slopes[r] = -HALF_CODE_LOG / (max(uintBitsToFloat(half_code), 0.0) + 0.5);
  }
}

// Codes of the rows' probabilities: a guess, then steps to where the thresholds
// say, of which most guesses need none.
void find_codes(float distances[MAX_ROWS], out int codes[MAX_ROWS],
                inout Walk walk) {
  [[unroll]] for (uint r = 0u; r < ROWS; ++r) {
    codes[r] = int(min(127.0 * exp2(distances[r] * slopes[r]) + 0.5, 127.0));
  }
  uint steps = 0u;
  bool is_off = false;
  do {
    is_off = false;
    [[unroll]] for (uint r = 0u; r < ROWS; ++r) {
      const int first = distance_block(first_head() + int(r % HEADS));
      const uvec4 pair = texelFetch(distance_texels, first + codes[r]);
      const bool is_high = distances[r] > uintBitsToFloat(pair.x);
      const bool is_low = distances[r] <= uintBitsToFloat(pair.y);
      codes[r] += (is_low ? 1 : 0) - (is_high ? 1 : 0);
      is_off = is_off || is_high || is_low;
    }
  } while (is_off && ++steps < uint(DISTANCES));
  walk.iterations += steps + 1u;
}

// Queries that are no number, of which the row has none either, become 0.
bool take_bad_queries(uint r) {
  bool bad = false;
  [[unroll]] for (uint i = 0u; i < LANE_VALUES; ++i) {
    const float q = queries[r * LANE_VALUES + i];
    bad = bad || is_nan(q);
    queries[r * LANE_VALUES + i] = is_nan(q) ? 0.0 : q;
  }
  return max_of_lanes(bad ? 1u : 0u) != 0u;
}

int whole_sums[MAX_SUMS];  // of sums that may grow no more

void keep_sums() {
  [[unroll]] for (uint i = 0u; i < SUMS; ++i) {
    whole_sums[i] += int(sums[i]);
    sums[i] = 0.0;
  }
}

// Lanes that read the same part of rows have sums of their own.
int sum_of_spans(int x) {
  [[unroll]] for (uint bit = 0u; bit < MAX_LANE_BITS; ++bit) {
    if (1u << bit >= SPAN && 1u << bit < LANES) {
      x += subgroupShuffle(x, gl_SubgroupInvocationID ^ (1u << bit));
    }
  }
  return x;
}

void store_rows(Part part, int totals[MAX_ROWS], bool bad[MAX_ROWS]) {
  const float scale_v =
      F32s(args.kv_scale).v[args.kv.num_kv_heads + kv_head_index()];
  float factors[MAX_ROWS];
  [[unroll]] for (uint r = 0u; r < ROWS; ++r) {
    factors[r] =
        bad[r] ? NOT_A_NUMBER : divide(scale_v, float(sum_of_lanes(totals[r])));
  }
  [[unroll]] for (uint i = 0u; i < LANE_VALUES; ++i) {
    [[unroll]] for (uint r = 0u; r < ROWS; ++r) {
      precise const float y =
          float(sum_of_spans(whole_sums[r * LANE_VALUES + i])) * factors[r];
      store_value(part, r, i, y);
    }
  }
}

// Scores of a round's LANES keys from i * LANES, row r: at (4 * round + i) * ROWS
// + r.  Behind them is room for a round, where all others' go.
#define MAX_KEPT 4096  // as launch/attention.cpp
const uint KEPT_ROUNDS = MAX_KEPT / (4u * ROWS);
float kept[MAX_KEPT + 4 * MAX_ROWS];

uint kept_at(uint round, int i) {
  return (4u * min(round, KEPT_ROUNDS) + uint(i)) * ROWS;
}

// What the rounds share.
float tops[MAX_ROWS];
int totals[MAX_ROWS];
int begins[MAX_ROWS];
int ends[MAX_ROWS];
uint keys_added = 0u;  // to sums

bool sees(uint r, int key) { return key >= begins[r] && key < ends[r]; }

// Of the round that begins at key `first`, LANES keys at a time.
int count_of(int first, int end) {
  return min(4, (end - first + int(LANES) - 1) / int(LANES));
}

// The scores of a round, to `kept` and `tops`.
void score_round(Keys found, int first, int count, uint round) {
  int i = 0;
  [[dont_unroll]] do {
    const int key = first + i * int(LANES) + lane_index();
    float scores[MAX_ROWS];
    multiply_keys(found.texels, uint(i) * LANES, scores);
    [[unroll]] for (uint r = 0u; r < ROWS; ++r) {
      kept[kept_at(round, i) + r] = scores[r];
      tops[r] = max(tops[r], sees(r, key) ? scores[r] : LOWEST);
    }
  } while (++i < count);
}

// Adds a round's V, by the codes of its scores.
void add_round(Keys found, int first, int count, uint round, bool is_kept,
               inout Walk walk) {
  vec4 codes[MAX_ROWS];
  [[unroll]] for (uint r = 0u; r < ROWS; ++r) codes[r] = vec4(0.0);
  int i = 0;
  [[dont_unroll]] do {
    const int key = first + i * int(LANES) + lane_index();
    float distances[MAX_ROWS];
    if (!is_kept) multiply_keys(found.texels, uint(i) * LANES, distances);
    // A key that is not seen may be above the top.
    [[unroll]] for (uint r = 0u; r < ROWS; ++r) {
      const float score =
          is_kept ? kept[kept_at(round, i) + r] : distances[r];
      distances[r] = max(tops[r] - score, 0.0);
    }
    int key_codes[MAX_ROWS];
    find_codes(distances, key_codes, walk);
    [[unroll]] for (uint r = 0u; r < ROWS; ++r) {
      codes[r] = mix(codes[r], vec4(sees(r, key) ? float(key_codes[r]) : 0.0),
                     equal(ivec4(i), ivec4(0, 1, 2, 3)));
    }
  } while (++i < count);
  const ivec4 v_rows = found.texels + walk.v_texels;
  i = 0;
  [[dont_unroll]] do {
    float row_codes[MAX_ROWS];
    [[unroll]] for (uint r = 0u; r < ROWS; ++r) {
      row_codes[r] = codes[r].x;
      codes[r] = codes[r].yzwx;
      totals[r] += int(row_codes[r]);
    }
    add_values(v_rows, uint(i) * LANES, row_codes);
  } while (++i < count);
  walk.iterations += 10u;
  keys_added += KEYS;
  if (keys_added == EXACT_KEYS) {
    keep_sums();
    keys_added = 0u;
  }
}

void main() {
  args = place.v;
  const Part part = find_part();
  if (part.num_tokens == 0) return;
  find_seen(part, begins, ends);
  const int end = ends[ROWS - 1u];
  const bool is_kept_whole =
      part.seq_len <= int(KEPT_ROUNDS * KEYS) || KEEPS_ALL == 0u;
  [[unroll]] for (uint r = 0u; r < ROWS; ++r) {
    if (ends[r] - begins[r] > MAX_KEYS || !is_kept_whole) {
      report_fault(args.fault, FAULT_SEQUENCE, part.seq);
      return;
    }
  }
  load_queries(query_block() / 4);
  load_slopes();
  bool bad[MAX_ROWS];
  [[unroll]] for (uint r = 0u; r < ROWS; ++r) {
    bad[r] = take_bad_queries(r);
    tops[r] = LOWEST;
    totals[r] = 0;
  }
  [[unroll]] for (uint i = 0u; i < SUMS; ++i) {
    sums[i] = 0.0;
    whole_sums[i] = 0;
  }
  Walk walk = start_walk();
  const int begin = begins[0] / 4 * 4;
  int first = begin;
  uint round = 0u;
  do {
    const Keys found = find_keys(part, first + lane_index() * 4, end - 1, walk);
    touch_keys(walk, found);
    score_round(found, first, count_of(first, end), round);
    ++round;
    walk.iterations += 6u;
  } while ((first += int(KEYS)) < end);
  [[unroll]] for (uint r = 0u; r < ROWS; ++r) tops[r] = max_of_lanes(tops[r]);
  first = begin;
  round = 0u;
  do {
    const Keys found = find_keys(part, first + lane_index() * 4, end - 1, walk);
    add_round(found, first, count_of(first, end), round, true, walk);
    ++round;
  } while ((first += int(KEYS)) < end &&
           (KEEPS_ALL != 0u || round < KEPT_ROUNDS));
  if (KEEPS_ALL == 0u) {
    do {
      const Keys found =
          find_keys(part, first + lane_index() * 4, end - 1, walk);
      add_round(found, first, count_of(first, end), round, false, walk);
    } while ((first += int(KEYS)) < end);
  }
  keep_sums();
  end_walk(walk, part);
  store_rows(part, totals, bad);
}
