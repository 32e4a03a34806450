#version 460
// SPDX-License-Identifier: Apache-2.0
//
// kv_append: a work-group for a head of a token.
#extension GL_GOOGLE_include_directive : require
#include "base.glsl"
#include "rotate.glsl"
#include "kv.glsl"

layout(constant_id = 1) const uint KV_FORMAT = 1u;
layout(constant_id = 2) const uint K_DTYPE = 1u;
layout(constant_id = 3) const uint V_DTYPE = 1u;
layout(constant_id = 4) const uint STYLE = 0u;
layout(constant_id = 5) const uint HEAD_DIM = 64u;

struct Args {
  RowPlace k;
  RowPlace v;
  KvRows kv;
  RotateArgs rotate;
  uint64_t slots;
  uint64_t inv;
  uint64_t fault;
};
READ_ARGS_ONCE(Args)

// clamp(rne(RN(x * inv)), -127, 127); 0 for NaN.
int round_code(float x, float inv) {
  precise const float product = x * inv;
  if (is_nan(product)) return 0;
  return int(roundEven(clamp(product, -127.0, 127.0)));
}

// An invocation has elements lane + j * GROUP of a head, j < PARTS.
const int PARTS = (int(HEAD_DIM) + int(GROUP) - 1) / int(GROUP);

int element_of(int j) { return int(gl_LocalInvocationIndex) + j * int(GROUP); }
bool has_element(int j) { return element_of(j) < int(HEAD_DIM); }

// One scale for the head, from its largest element.
void store_token(float values[8], uint64_t codes, uint64_t scale) {
  float largest = 0.0;
  bool finite = true;
  for (int j = 0; j < PARTS; ++j) {
    if (!has_element(j)) continue;
    largest = max(largest, abs(values[j]));
    finite = finite && is_finite(values[j]);
  }
  finite = !group_any(!finite);
  const float amax = group_max(finite ? largest : 0.0);
  const bool tiny = amax < uintBitsToFloat(0x0d800000u);
  const float inv = finite && !tiny ? divide(127.0, amax) : 0.0;
  precise const float step = amax * uintBitsToFloat(0x3c010204u);
  if (gl_LocalInvocationIndex == 0u) {
    F32s(scale).v[0] = finite ? (tiny ? 0.0 : step) : NOT_A_NUMBER;
  }
  for (int j = 0; j < PARTS; ++j) {
    if (!has_element(j)) continue;
    store_byte(codes + uint64_t(element_of(j)),
               finite ? round_code(values[j], inv) : 0);
  }
}

void store_head(float values[8], uint64_t codes, uint64_t scale, uint64_t inv) {
  if (KV_FORMAT == KV_I8_TOKEN) {
    store_token(values, codes, scale);
    return;
  }
  for (int j = 0; j < PARTS; ++j) {
    if (!has_element(j)) continue;
    const int i = element_of(j);
    if (KV_FORMAT <= KV_BF16) {
      store_one(codes, int(KV_FORMAT), i, values[j]);
    } else {
      const int at = KV_FORMAT == KV_I8_HEAD ? 0 : i;
      store_byte(codes + uint64_t(i), round_code(values[j], F32s(inv).v[at]));
    }
  }
}

void main() {
  args = place.v;
  args.k.dtype = int(K_DTYPE);
  args.v.dtype = int(V_DTYPE);
  args.rotate.style = int(STYLE);
  const int token = int(gl_WorkGroupID.x);
  const int head = int(gl_WorkGroupID.y);
  const int lane = int(gl_LocalInvocationIndex);
  const int slot = I32s(args.slots).v[token];
  if (slot < 0) return;
  if (slot / args.kv.block_size >= args.kv.num_blocks) {
    if (lane == 0) report_fault(args.fault, FAULT_SLOT, slot);
    return;
  }
  uint64_t angles = 0ul;
  if (args.rotate.style != ROPE_NONE) {
    angles = angles_of(args.rotate, token, args.fault);
    if (angles == 0ul) return;
  }
  const int dim = int(HEAD_DIM);
  const uint64_t row = uint64_t(head) * uint64_t(args.kv.num_blocks) *
                           uint64_t(args.kv.block_size) +
                       uint64_t(slot);
  const int inv_step = KV_FORMAT == KV_I8_CHANNEL ? dim : 1;
  for (int part = 0; part < 2; ++part) {
    RotateArgs turn = args.rotate;
    if (part == 1) turn.style = ROPE_NONE;
    RowPlace from = args.k;
    if (part == 1) from = args.v;
    const int64_t element = token * from.stride + head * dim;
    float values[8];
    for (int j = 0; j < PARTS; ++j) {
      if (!has_element(j)) continue;
      values[j] = rotated(from, element, element_of(j), turn, angles);
    }
    const uint64_t scales =
        part == 0 ? args.kv.k_scale_offset : args.kv.v_scale_offset;
    const uint64_t offset = part == 0 ? 0ul : args.kv.v_offset;
    const int heads = part * args.kv.num_kv_heads + head;
    store_head(values,
               args.kv.address + offset + row * args.kv.row_bytes,
               args.kv.address + scales + row * 4ul,
               args.inv + uint64_t(heads * inv_step) * 4ul);
  }
}
