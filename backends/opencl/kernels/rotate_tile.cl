// SPDX-License-Identifier: Apache-2.0
//
// rope and kv_append: a work-group for a head of a token.

// x and y may be the same memory: a head is read whole before it is written.
WHOLE_GROUP kernel void rope(global const uchar* x_base, RowPlace x,
                             global uchar* y_base, RowPlace y,
                             global const uchar* positions_base,
                             global const uchar* table_base,
                             RotateArgs rotate, global int* fault) {
  local float whole[HEAD_DIM];
  const long token = get_group_id(0);
  const long head = get_group_id(1);
  global const float* angles =
      angles_of(rotate, positions_base, table_base, token, fault);
  const int count = angles == 0 ? 0 : HEAD_DIM;
  const long from = token * x.stride + head * rotate.head_dim;
  const long to = token * y.stride + head * rotate.head_dim;
  for (int i = get_local_id(0); i < count; i += GROUP) {
    whole[i] = rotated(x_base + x.offset, x.dtype, from, i, rotate, angles);
  }
  barrier(CLK_LOCAL_MEM_FENCE);
  for (int i = get_local_id(0); i < count; i += GROUP) {
    store_one(y_base + y.offset, y.dtype, to + i, whole[i]);
  }
}

// Of `count` elements in local memory; every work-item comes here.
static void store_head(local const float* head, int count, global uchar* codes,
                       global float* scale, global const float* inv,
                       int format, local float* partial) {
  float largest = 0.0f;
  float poison = 0.0f;  // NaN once an element is not finite
  for (int i = get_local_id(0); i < count; i += GROUP) {
    largest = fmax(fabs(head[i]), largest);
    poison = poison + (head[i] - head[i]);
  }
  const float amax = group_max(largest, partial);
  const TokenCoding coding = token_coding(amax, group_sum(poison, partial));
  const bool is_token = format == KV_I8_TOKEN;
  if (is_token && count > 0 && get_local_id(0) == 0) *scale = coding.scale;
  for (int i = get_local_id(0); i < count; i += GROUP) {
    if (format <= KV_BF16) {
      store_one(codes, format, i, head[i]);
      continue;
    }
    float factor = coding.inv;
    if (format == KV_I8_HEAD) factor = inv[0];
    if (format == KV_I8_CHANNEL) factor = inv[i];
    const float v = is_token && !coding.finite ? 0.0f : head[i];
    ((global char*)codes)[i] =
        convert_char_sat(round_codes((float16)(v), (float16)(factor)).s0);
  }
}

WHOLE_GROUP kernel void kv_append(
    global const uchar* k_base, RowPlace k, global const uchar* v_base,
    RowPlace v, global uchar* pool_base, KvPlace kv,
    global const uchar* slots_base, ulong slots_offset,
    global const uchar* positions_base, global const uchar* table_base,
    RotateArgs rotate, global const uchar* inv_base, ulong inv_offset,
    global int* fault) {
  local float whole[HEAD_DIM];
  local float partial[GROUP];
  const long token = get_group_id(0);
  const long head = get_group_id(1);
  const int slot = ((global const int*)(slots_base + slots_offset))[token];
  const Destination to = find_slot(pool_base, kv, slot, rotate, positions_base,
                                   table_base, token, fault);
  const int count = to.block == 0 ? 0 : HEAD_DIM;
  const long row = head * kv.block_size + to.row;
  const long inv_step = kv.format == KV_I8_CHANNEL ? HEAD_DIM : 1;
  global const float* inv = (global const float*)(inv_base + inv_offset);
  for (int part = 0; part < 2; ++part) {
    RotateArgs turn = rotate;
    if (part == 1) turn.style = ROPE_NONE;
    const RowPlace in = part == 0 ? k : v;
    global const uchar* base = (part == 0 ? k_base : v_base) + in.offset;
    const long from = token * in.stride + head * HEAD_DIM;
    barrier(CLK_LOCAL_MEM_FENCE);
    for (int i = get_local_id(0); i < count; i += GROUP) {
      whole[i] = rotated(base, in.dtype, from, i, turn, to.angles);
    }
    barrier(CLK_LOCAL_MEM_FENCE);
    const ulong scales = part == 0 ? kv.k_scale_offset : kv.v_scale_offset;
    store_head(whole, count,
               to.block + (part == 0 ? 0 : kv.v_offset) + row * kv.row_bytes,
               (global float*)(to.block + scales) + row,
               inv + (part * kv.num_kv_heads + head) * inv_step, kv.format,
               partial);
  }
}
