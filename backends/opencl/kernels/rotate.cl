// SPDX-License-Identifier: Apache-2.0
//
// rope and kv_append: one work-item for a head of a token.

#define ROPE_NONE 0
#define ROPE_HALF 1

#define KV_F32 1
#define KV_F16 2
#define KV_BF16 3
#define KV_I8_TOKEN 4
#define KV_I8_CHANNEL 5
#define KV_I8_HEAD 6

static int lanes_left(int width, int i) { return min(width - i, 16); }

// Element i of a head after its rotation; each product and sum is rounded.
static float rotated(global const uchar* head, int dtype, long element, int i,
                     RotateArgs rotate, global const float* angles) {
  const float x = load_one(head, dtype, element + i);
  if (rotate.style == ROPE_NONE || i >= rotate.rotary_dim) return x;
  const int half_dim = rotate.rotary_dim / 2;
  const bool is_half = rotate.style == ROPE_HALF;
  const int pair = is_half ? i % half_dim : i / 2;
  const bool is_first = is_half ? i < half_dim : i % 2 == 0;
  const int step = is_half ? half_dim : 1;
  const float other =
      load_one(head, dtype, element + (is_first ? i + step : i - step));
  const float c = angles[pair];
  const float s = angles[half_dim + pair];
  const float a = x * c;
  const float b = other * s;
  return is_first ? a - b : a + b;
}

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

// The angles of a token; null where its position is outside the table.
static global const float* angles_of(RotateArgs rotate,
                                     global const uchar* positions_base,
                                     global const uchar* table_base, long token,
                                     global int* fault) {
  const int position =
      ((global const int*)(positions_base + rotate.positions_offset))[token];
  if (position < 0 || position >= rotate.max_positions) {
    report_fault(fault, FAULT_POSITION, position);
    return 0;
  }
  return (global const float*)(table_base + rotate.table_offset) +
         (long)position * rotate.rotary_dim;
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

// clamp(rne(RN(x * inv)), -127, 127); 0 for NaN.
static float16 round_codes(float16 x, float16 inv) {
  const float16 product = x * inv;
  const float16 code = rint(clamp(product, -127.0f, 127.0f));
  return select((float16)(0.0f), code, product == product);
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
  const float amax = max_lane(largest);
  const float bad = sum_lanes(poison);
  const bool finite = bad == 0.0f;
  const bool tiny = amax < 0x1p-100f;
  const float inv = finite && !tiny ? divide(127.0f, amax) : 0.0f;
  *scale = tiny && finite ? 0.0f : amax * 0x1.020408p-7f + bad;
  for (int i = 0; i < HEAD_DIM; i += 16) {
    const float16 v = finite ? vload16(0, head + i) : (float16)(0.0f);
    store_codes(codes, i, lanes_left(HEAD_DIM, i), round_codes(v, inv));
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
  if (slot < 0) return;
  if ((long)slot >= (long)kv.num_blocks * kv.block_size) {
    report_fault(fault, FAULT_SLOT, slot);
    return;
  }
  global const float* angles = 0;
  if (rotate.style != ROPE_NONE) {
    angles = angles_of(rotate, positions_base, table_base, token, fault);
    if (angles == 0) return;
  }
  global uchar* block =
      pool_base + kv.offset + (slot / kv.block_size) * kv.block_bytes;
  const long row = head * kv.block_size + slot % kv.block_size;
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
              : rotated16(base, in.dtype, from, i, n, turn, angles);
      vstore16(x, 0, whole + i);
    }
    const ulong scales = part == 0 ? kv.k_scale_offset : kv.v_scale_offset;
    store_head(whole, block + (part == 0 ? 0 : kv.v_offset) + row * kv.row_bytes,
               (global float*)(block + scales) + row,
               inv + (part * kv.num_kv_heads + head) * inv_step, kv.format);
  }
}
