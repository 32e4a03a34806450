#version 460
// SPDX-License-Identifier: Apache-2.0
//
// The queries of attention in blocks: rows side by side, with the softmax scale
// and K's scales of channels.
#extension GL_GOOGLE_include_directive : require
#define BLOCK_FORM
#include "base.glsl"
#include "block.glsl"
#include "attention_args.glsl"
#include "attention_parts.glsl"

void main() {
  args = place.v;
  const Part part = find_part();
  const int head = first_head();
  const int heads = num_heads();
  for (int d = lane_index(); d < int(HEAD_DIM); d += int(LANES)) {
    float factor = args.scale;
    if (KV_FORMAT == KV_I8_CHANNEL) {
      factor *= F32s(args.kv_scale).v[kv_head_index() * int(HEAD_DIM) + d];
    }
    for (int r = 0; r < int(ROWS); ++r) {
      float x = 0.0;
      if (r / int(HEADS) < part.num_tokens && r % int(HEADS) < heads) {
        x = load_place(args.q, part.first_token + r / int(HEADS),
                       (head + r % int(HEADS)) * int(HEAD_DIM) + d);
      }
      F32s(args.queries).v[query_block() + r * int(HEAD_DIM) + d] = x * factor;
    }
  }
}
