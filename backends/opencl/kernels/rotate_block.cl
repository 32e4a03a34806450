// SPDX-License-Identifier: Apache-2.0
//
// rope and kv_append: one work-item for a head of a token.

static int lanes_left(int width, int i) { return min(width - i, 16); }


static float16 rotated16(global const uchar* head, int dtype, long element,
                         int i, int n, RotateArgs rotate,
                         global const float* angles) {
  float lanes[16];
  for (int lane = 0; lane < 16; ++lane) {
    lanes[lane] = lane < n ? rotated(head, dtype, element, i + lane, rotate,
                                     angles)
                           : 0.0f;
  }
  return vload16(0, lanes);
}

// x and y may be the same memory: a head is read whole before it is written.
ONE_ITEM kernel void rope(global const uchar* x_base, RowPlace x,
                          global uchar* y_base, RowPlace y,
                          global const uchar* positions_base,
                          global const uchar* table_base, RotateArgs rotate,
                          global int* fault) {
  const long token = get_global_id(0);
  const long head = get_global_id(1);
  global const float* angles =
      angles_of(rotate, positions_base, table_base, token, fault);
  if (angles == 0) return;
  global const uchar* in = x_base + x.offset;
  const long from = token * x.stride + head * rotate.head_dim;
  const long to = token * y.stride + head * rotate.head_dim;
  float whole[HEAD_DIM + 16];
  for (int i = 0; i < HEAD_DIM; i += 16) {
    const int n = lanes_left(HEAD_DIM, i);
    vstore16(rotated16(in, x.dtype, from, i, n, rotate, angles), 0, whole + i);
  }
  for (int i = 0; i < HEAD_DIM; i += 16) {
    store_row(y_base + y.offset, y.dtype, to + i, lanes_left(HEAD_DIM, i),
              vload16(0, whole + i));
  }
}

static void store_codes(global char* codes, int i, int n, float16 q) {
  const char16 bytes = convert_char16_sat(q);
  if (n >= 16) {
    vstore16(bytes, 0, codes + i);
    return;
  }
  char lanes[16];
  vstore16(bytes, 0, lanes);
  for (int lane = 0; lane < n; ++lane) codes[i + lane] = lanes[lane];
}

// One scale for the head, from its largest element.
static void store_token(private const float* head, global char* codes,
                        global float* scale) {
  float16 largest = (float16)(0.0f);
  float16 poison = (float16)(0.0f);  // NaN once an element is not finite
  for (int i = 0; i < HEAD_DIM; i += 16) {
    const float16 v = vload16(0, head + i);
    largest = fmax(fabs(v), largest);
    poison = poison + (v - v);
  }
  const TokenCoding coding = token_coding(max_lane(largest), sum_lanes(poison));
  *scale = coding.scale;
  for (int i = 0; i < HEAD_DIM; i += 16) {
    const float16 v = coding.finite ? vload16(0, head + i) : (float16)(0.0f);
    store_codes(codes, i, lanes_left(HEAD_DIM, i), round_codes(v, coding.inv));
  }
}

static void store_head(private const float* head, global uchar* codes,
                       global float* scale, global const float* inv,
                       int format) {
  if (format == KV_I8_TOKEN) {
    store_token(head, (global char*)codes, scale);
    return;
  }
  for (int i = 0; i < HEAD_DIM; i += 16) {
    const int n = lanes_left(HEAD_DIM, i);
    const float16 v = vload16(0, head + i);
    if (format <= KV_BF16) {
      store_row(codes, format, i, n, v);
      continue;
    }
    const float16 factor =
        format == KV_I8_HEAD ? (float16)(inv[0]) : load_f32(inv, i, n);
    store_codes((global char*)codes, i, n,
                round_codes(v, factor));
  }
}

ONE_ITEM kernel void kv_append(
    global const uchar* k_base, RowPlace k, global const uchar* v_base,
    RowPlace v, global uchar* pool_base, KvPlace kv,
    global const uchar* slots_base, ulong slots_offset,
    global const uchar* positions_base, global const uchar* table_base,
    RotateArgs rotate, global const uchar* inv_base, ulong inv_offset,
    global int* fault) {
  const long token = get_global_id(0);
  const long head = get_global_id(1);
  const int slot = ((global const int*)(slots_base + slots_offset))[token];
  const Destination to = find_slot(pool_base, kv, slot, rotate, positions_base,
                                   table_base, token, fault);
  if (to.block == 0) return;
  const long row = head * kv.block_size + to.row;
  const int is_channel = kv.format == KV_I8_CHANNEL;
  const long inv_step = is_channel ? HEAD_DIM : 1;
  global const float* inv = (global const float*)(inv_base + inv_offset);
  float whole[HEAD_DIM + 16];
  for (int part = 0; part < 2; ++part) {
    RotateArgs turn = rotate;
    if (part == 1) turn.style = ROPE_NONE;
    const RowPlace in = part == 0 ? k : v;
    global const uchar* base = (part == 0 ? k_base : v_base) + in.offset;
    const long from = token * in.stride + head * HEAD_DIM;
    for (int i = 0; i < HEAD_DIM; i += 16) {
      const int n = lanes_left(HEAD_DIM, i);
      const float16 x =
          turn.style == ROPE_NONE
              ? load_row(base, in.dtype, from + i, n)
              : rotated16(base, in.dtype, from, i, n, turn, to.angles);
      vstore16(x, 0, whole + i);
    }
    const ulong scales = part == 0 ? kv.k_scale_offset : kv.v_scale_offset;
    store_head(whole, to.block + (part == 0 ? 0 : kv.v_offset) + row * kv.row_bytes,
               (global float*)(to.block + scales) + row,
               inv + (part * kv.num_kv_heads + head) * inv_step, kv.format);
  }
}
