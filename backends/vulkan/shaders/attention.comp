#version 460
// SPDX-License-Identifier: Apache-2.0
//
// Float attention: one pass over the cache with a running maximum and sum.
// Source: Milakov and Gimelshein, arXiv:1805.02867, section 3.
#extension GL_GOOGLE_include_directive : require
#include "base.glsl"
#include "attention.glsl"

shared float weights[64];
shared uint64_t value_rows[64];

float channel_scale(int part, int kv_head, int i) {
  if (KV_FORMAT != KV_I8_CHANNEL) return 1.0;
  const int row = part * args.kv.num_kv_heads + kv_head;
  return F32s(args.kv_scale).v[row * args.head_dim + i];
}

// out = out * factor + the weights of this step times V.
void add_values(int count, float factor, inout float sums[MAX_PARTS]) {
  for (int i = int(gl_LocalInvocationIndex), j = 0; i < args.head_dim;
       i += int(GROUP), ++j) {
    float sum = sums[j] * factor;
    int first = 0;
    do {
      [[unroll]] for (int k = 0; k < KEY_STEP; ++k) {
        const int key = first + k;
        if (key < count) sum += weights[key] * code_at(value_rows[key], i);
      }
    } while ((first += KEY_STEP) < count);
    sums[j] = sum;
  }
}

void main() {
  args = place.v;
  const int token = int(gl_WorkGroupID.x);
  const int head = int(gl_WorkGroupID.y);
  const int lane = int(gl_LocalInvocationIndex);
  const int kv_head = head / (args.num_q_heads / args.kv.num_kv_heads);
  const Part part = find_part(token);
  if (part.end <= part.begin || !may_walk(part, 1)) return;
  const int first = head * args.head_dim;
  for (int i = lane; i < args.head_dim; i += int(GROUP)) {
    query[i] = load_place(args.q, token, first + i) * args.scale *
               channel_scale(0, kv_head, i);
  }
  float sums[MAX_PARTS];
  for (int j = 0; j < MAX_PARTS; ++j) sums[j] = 0.0;
  float top = -INFINITE;
  float total = 0.0;
  bool failed = false;
  for (int begin = part.begin; begin < part.end; begin += int(GROUP)) {
    const int key = begin + lane;
    float score = -INFINITE;
    float value_scale = 1.0;
    barrier();  // the last step's weights are used up, the query is there
    if (key < part.end) {
      uint64_t row;
      const uint64_t codes = find_row(part.seq, key, kv_head, row);
      failed = failed || codes == 0ul;
      if (codes != 0ul) {
        score = dot_query(codes);
        value_rows[lane] = codes + args.kv.v_offset;
        if (KV_FORMAT == KV_I8_TOKEN) {
          const uint64_t scale = args.kv.address + row * 4ul;
          score *= F32s(scale + args.kv.k_scale_offset).v[0];
          value_scale = F32s(scale + args.kv.v_scale_offset).v[0];
        }
      }
    }
    if (group_any(failed)) return;
    const bool bad = group_any(is_nan(score));
    const float new_top = max(top, group_max(score));
    const float p = key < part.end ? portable_exp(score - new_top) : 0.0;
    const float factor = top == -INFINITE ? 0.0 : portable_exp(top - new_top);
    weights[lane] = p * value_scale;
    total = bad ? NOT_A_NUMBER : total * factor + group_sum(p);
    barrier();
    add_values(min(int(GROUP), part.end - begin), factor, sums);
    top = new_top;
  }
  for (int i = lane, j = 0; i < args.head_dim; i += int(GROUP), ++j) {
    store_place(args.y, token, first + i,
                divide(sums[j], total) * channel_scale(1, kv_head, i));
  }
}
