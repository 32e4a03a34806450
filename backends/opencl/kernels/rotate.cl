// SPDX-License-Identifier: Apache-2.0
//
// What rope and kv_append share: angles, and codes of the cache.

#define ROPE_NONE 0
#define ROPE_HALF 1

#define KV_F32 1
#define KV_F16 2
#define KV_BF16 3
#define KV_I8_TOKEN 4
#define KV_I8_CHANNEL 5
#define KV_I8_HEAD 6

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

// clamp(rne(RN(x * inv)), -127, 127); 0 for NaN.
static float16 round_codes(float16 x, float16 inv) {
  const float16 product = x * inv;
  const float16 code = rint(clamp(product, -127.0f, 127.0f));
  return select((float16)(0.0f), code, product == product);
}

// How a head of one token is coded by a scale of its own.
typedef struct {
  float inv;
  float scale;
  bool finite;  // else all codes are 0
} TokenCoding;

// `bad` is 0, or NaN once an element is not finite.
static TokenCoding token_coding(float amax, float bad) {
  TokenCoding coding;
  coding.finite = bad == 0.0f;
  const bool tiny = amax < 0x1p-100f;
  coding.inv = coding.finite && !tiny ? divide(127.0f, amax) : 0.0f;
  coding.scale = tiny && coding.finite ? 0.0f : amax * 0x1.020408p-7f + bad;
  return coding;
}

// Where a token's K and V go; null `block` where they go nowhere.
typedef struct {
  global uchar* block;
  long row;  // of the first head's, in the block
  global const float* angles;
} Destination;

static Destination find_slot(global uchar* pool, KvPlace kv, int slot,
                             RotateArgs rotate,
                             global const uchar* positions_base,
                             global const uchar* table_base, long token,
                             global int* fault) {
  Destination to = {0, 0, 0};
  if (slot < 0) return to;
  if ((long)slot >= (long)kv.num_blocks * kv.block_size) {
    report_fault(fault, FAULT_SLOT, slot);
    return to;
  }
  if (rotate.style != ROPE_NONE) {
    to.angles = angles_of(rotate, positions_base, table_base, token, fault);
    if (to.angles == 0) return to;
  }
  to.block = pool + kv.offset + (slot / kv.block_size) * kv.block_bytes;
  to.row = slot % kv.block_size;
  return to;
}
