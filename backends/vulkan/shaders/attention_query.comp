#version 460
// SPDX-License-Identifier: Apache-2.0
//
// The queries of attention in blocks, rows side by side: with the softmax scale
// and K's scales of channels, or, of integer attention, their codes.  Its
// thresholds too.
#extension GL_GOOGLE_include_directive : require
#define BLOCK_FORM
#include "base.glsl"
#include "block.glsl"
#include "attention_args.glsl"
#include "attention_parts.glsl"

// No number where x is none.
float code_of(float x, int head) {
  precise const float product = x * F32s(args.q_inv).v[head];
  return is_finite(x) ? roundEven(clamp(product, -127.0, 127.0)) : NOT_A_NUMBER;
}

// Of threshold k, from 1; of those before and after the last, what every and what
// no distance keeps.  No distance of two scores is above 2^24, so f32 holds what
// matters.
float threshold_of(int head, int k) {
  if (k < 1 || k >= DISTANCES) return k < 1 ? float(1 << 25) : -1.0;
  const int threshold = I32s(args.thresholds).v[head * (DISTANCES - 1) + k - 1];
  return float(clamp(threshold, -1, 1 << 24));
}

void write_distances(int head) {
  for (int k = lane_index(); k < DISTANCES; k += int(LANES)) {
    F32s pair = F32s(args.distances + uint64_t(distance_block(head) + k) * 8ul);
    pair.v[0] = threshold_of(head, k);
    pair.v[1] = threshold_of(head, k + 1);
  }
}

void main() {
  args = place.v;
  const Part part = find_part();
  const int head = first_head();
  const int heads = num_heads();
  if (KV_FORMAT == KV_I8_HEAD && gl_WorkGroupID.x == 0u) {
    for (int h = head; h < head + heads; ++h) write_distances(h);
  }
  for (int d = lane_index(); d < int(HEAD_DIM); d += int(LANES)) {
    float factor = args.scale;
    if (KV_FORMAT == KV_I8_CHANNEL) {
      factor *= F32s(args.kv_scale).v[kv_head_index() * int(HEAD_DIM) + d];
    }
    for (int r = 0; r < int(ROWS); ++r) {
      float x = 0.0;
      if (r / int(HEADS) < part.num_tokens && r % int(HEADS) < heads) {
        const int row_head = head + r % int(HEADS);
        x = load_place(args.q, part.first_token + r / int(HEADS),
                       row_head * int(HEAD_DIM) + d);
        x = KV_FORMAT == KV_I8_HEAD ? code_of(x, row_head) : x * factor;
      }
      F32s(args.queries).v[query_block() + r * int(HEAD_DIM) + d] = x;
    }
  }
}
