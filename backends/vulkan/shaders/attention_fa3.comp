#version 460
// SPDX-License-Identifier: Apache-2.0
//
// Integer attention, bit for bit as numerics.md section 2: the row maximum
// first, over all keys, then codes of probabilities and exact sums.
#extension GL_GOOGLE_include_directive : require
#include "base.glsl"
#include "attention.glsl"

#define MAX_KEYS 133000
#define LOWEST (-2147483647 - 1)

shared float codes[64];
shared uint64_t value_rows[64];

// Number of k with distance <= thresholds[k - 1], which falls with k.
int probability_code(int head, int distance) {
  int low = 0;
  int high = 127;
  while (low < high) {
    const int middle = (low + high + 1) / 2;
    if (distance <= I32s(args.thresholds).v[head * 127 + middle - 1]) {
      low = middle;
    } else {
      high = middle - 1;
    }
  }
  return low;
}

// Codes of the query; true if one element is not finite.
bool quantize_query(int token, int head) {
  const float inv = F32s(args.q_inv).v[head];
  bool bad = false;
  for (int i = int(gl_LocalInvocationIndex); i < args.head_dim;
       i += int(GROUP)) {
    const float x = load_place(args.q, token, head * args.head_dim + i);
    bad = bad || !is_finite(x);
    precise const float product = x * inv;
    query[i] =
        is_finite(x) ? roundEven(clamp(product, -127.0, 127.0)) : 0.0;
  }
  return group_any(bad);
}

// 64 * 127 * 127 < 2^24: exact in f32.
void add_values(int count, inout int sums[MAX_PARTS]) {
  for (int i = int(gl_LocalInvocationIndex), j = 0; i < args.head_dim;
       i += int(GROUP), ++j) {
    float sum = 0.0;
    int first = 0;
    do {
      [[unroll]] for (int k = 0; k < KEY_STEP; ++k) {
        const int key = first + k;
        if (key < count) sum += codes[key] * code_at(value_rows[key], i);
      }
    } while ((first += KEY_STEP) < count);
    sums[j] += int(sum);
  }
}

void main() {
  args = place.v;
  const int token = int(gl_WorkGroupID.x);
  const int head = int(gl_WorkGroupID.y);
  const int lane = int(gl_LocalInvocationIndex);
  const int kv_head = head / (args.num_q_heads / args.kv.num_kv_heads);
  const Part part = find_part(token);
  if (part.end <= part.begin) return;
  if (part.end - part.begin > MAX_KEYS) {
    if (lane == 0) report_fault(args.fault, FAULT_SEQUENCE, part.seq);
    return;
  }
  if (!may_walk(part, 2)) return;
  const bool bad = quantize_query(token, head);
  int sums[MAX_PARTS];
  for (int j = 0; j < MAX_PARTS; ++j) sums[j] = 0;
  int top = LOWEST;
  int total = 0;
  bool failed = false;
  for (int pass = 0; pass < 2; ++pass) {
    for (int begin = part.begin; begin < part.end; begin += int(GROUP)) {
      const int key = begin + lane;
      int score = LOWEST;
      barrier();
      if (key < part.end) {
        uint64_t row;
        const uint64_t place = find_row(part.seq, key, kv_head, row);
        failed = failed || place == 0ul;
        // 512 * 127 * 127 < 2^24: exact in f32.
        if (place != 0ul) {
          score = int(dot_query(place));
          value_rows[lane] = place + args.kv.v_offset;
        }
      }
      if (group_any(failed)) return;
      if (pass == 0) {
        top = max(top, score);
        continue;
      }
      const int code =
          key < part.end ? probability_code(head, top - score) : 0;
      codes[lane] = float(code);
      total += code;
      barrier();
      add_values(min(int(GROUP), part.end - begin), sums);
    }
    // Scores are below 2^24, so f32 holds them.
    if (pass == 0) top = int(group_max(max(float(top), -16777216.0)));
  }
  // At most 127 * 133,000 < 2^24 + 2^17: summed in two exact parts.
  const int whole = int(group_sum(float(total / 256)));
  const int rest = int(group_sum(float(total % 256)));
  const float scale_v =
      F32s(args.kv_scale).v[args.kv.num_kv_heads + kv_head];
  const float factor = divide(scale_v, float(whole * 256 + rest));
  for (int i = lane, j = 0; i < args.head_dim; i += int(GROUP), ++j) {
    precise const float y = float(sums[j]) * factor;
    store_place(args.y, token, head * args.head_dim + i,
                bad ? NOT_A_NUMBER : y);
  }
}
