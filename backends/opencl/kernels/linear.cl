// SPDX-License-Identifier: Apache-2.0
//
// What all linear kernels share: reading packed codes, and the way from sums to
// y.  Compiled for one weight: CODE, CODE_ZERO, SCALE_BITS (0, 16, 32),
// HAS_ZERO, HAS_MIN, INTEGER (products are exact integers) and GROUPED (the
// group formula of numerics.md section 1).

#define CODE_F32 0
#define CODE_F16 1
#define CODE_BF16 2
#define CODE_S8 3
#define CODE_U4 4
#define CODE_E4M3 5
#define CODE_E5M2 6
#define CODE_E2M1 7

#define IS_NIBBLE (CODE == CODE_U4 || CODE == CODE_E2M1)

#define TILE 16          // columns of y that a weight's tile holds

// Of a tile, for one column of K.
#if IS_NIBBLE
#define CODE_BYTES (TILE / 2)
#elif CODE == CODE_F32
#define CODE_BYTES (TILE * 4)
#elif CODE == CODE_F16 || CODE == CODE_BF16
#define CODE_BYTES (TILE * 2)
#else
#define CODE_BYTES TILE
#endif

#define EXACT_COLUMNS 256  // 255 * 255 * 256 < 2^24: f32 sums are exact

typedef global const uchar* Bytes;

static float16 decode_nibbles(uchar16 nibbles) {
#if CODE == CODE_E2M1
  const uint16 code = convert_uint16(nibbles);
  const uint16 magnitude = code & 7u;
  float16 v = as_float16((magnitude << 22) + 0x3f000000u);
  v = select(v, convert_float16(magnitude) * 0.5f, magnitude < 2u);
  return as_float16(as_uint16(v) | ((code & 8u) << 28));
#elif CODE == CODE_U4 && CODE_ZERO != 0
  return convert_float16(convert_int16(nibbles) - CODE_ZERO);
#else
  return convert_float16(nibbles);
#endif
}

// 8-bit floats.
static float16 decode_bytes(uchar16 bytes) {
#if CODE == CODE_E5M2
  return f16_to_f32(convert_ushort16(bytes) << (ushort16)(8));
#else
  const uint16 code = convert_uint16(bytes);
  const uint16 magnitude = code & 0x7fu;
  float16 v = as_float16((magnitude << 20) + 0x3c000000u);
  v = select(v, convert_float16(magnitude) * 0x1p-9f, magnitude < 8u);
  v = select(v, (float16)(NAN), magnitude == 0x7fu);
  return as_float16(as_uint16(v) | ((code & 0x80u) << 24));
#endif
}

// Codes of storage column k (for nibbles: of columns 2 k in `low`, 2 k + 1 in
// `high`) of a tile.
#if IS_NIBBLE
static void load_pair(Bytes tile, long k, float16* low, float16* high) {
  const uchar16 pair = vload16(k, tile);
#if CODE == CODE_U4
  // The last place of 2^23 is 1 and that of 2^19 is 1 / 16, so that a nibble put
  // there is a number without a shift or a conversion.
  const uint16 bits = convert_uint16(pair);
  *low = as_float16((bits & 15u) | 0x4b000000u) - (8388608.0f + CODE_ZERO);
  *high = as_float16((bits & 0xf0u) | 0x49000000u) - (524288.0f + CODE_ZERO);
#else
  *low = decode_nibbles(pair & (uchar16)(15));
  *high = decode_nibbles(pair >> (uchar16)(4));
#endif
}
#else
static float16 load_codes(Bytes tile, long k) {
#if CODE == CODE_F32
  return vload16(k, (global const float*)tile);
#elif CODE == CODE_F16
  return f16_to_f32(vload16(k, (global const ushort*)tile));
#elif CODE == CODE_BF16
  return bf16_to_f32(vload16(k, (global const ushort*)tile));
#elif CODE == CODE_S8
  return convert_float16(vload16(k, (global const char*)tile));
#else
  return decode_bytes(vload16(k, tile));
#endif
}
#endif

// What turns the codes of a group into numbers.
typedef struct {
  float16 scale;
  float16 zero;
  float16 min;
} Group;

static Group load_group(Bytes weight, const LinearArgs* args, long tile,
                        int g) {
  Group group;
  const long at = (tile * args->num_groups + g) * TILE;
  group.scale = (float16)(1.0f);
#if SCALE_BITS == 32
  group.scale =
      vload16(0, (global const float*)(weight + args->scales_offset) + at);
#elif SCALE_BITS == 16
  group.scale = f16_to_f32(
      vload16(0, (global const ushort*)(weight + args->scales_offset) + at));
#endif
  group.zero = (float16)(0.0f);
#if HAS_ZERO
  group.zero =
      vload16(0, (global const float*)(weight + args->zeros_offset) + at);
#endif
  group.min = (float16)(0.0f);
#if HAS_MIN
  group.min =
      vload16(0, (global const float*)(weight + args->mins_offset) + at);
#endif
  return group;
}

// A code as the products take it: as the weight where there is a minimum, else
// without its scale.
static float16 factor_of(float16 code, const Group* group) {
#if HAS_MIN
  return fma(code, group->scale, group->min);
#elif HAS_ZERO
  return code - group->zero;
#else
  return code;
#endif
}

static float16 activate(float16 v, int activation) {
  if (activation == 1) return portable_silu(v);
  if (activation == 2) return portable_gelu_erf(v);
  if (activation == 3) return portable_gelu_tanh(v);
  return v;
}

// The columns of a tile that the op asks for: `count` from lane `first`.
typedef struct {
  int first;
  int count;
} Lanes;

static Lanes lanes_of(const LinearArgs* args, int n) {
  Lanes lanes;
  lanes.first = max(0, args->n_begin - n);
  lanes.count = min(TILE, args->n_end - n) - lanes.first;
  return lanes;
}

static float16 from_lane(float16 v, int first) {
  if (first == 0) return v;
  float lanes[2 * TILE];
  vstore16(v, 0, lanes);
  vstore16((float16)(0.0f), 1, lanes);
  return vload16(0, lanes + first);
}

// y[m, n ..] from the scaled sums of a tile whose first column is n.
static void finish(const LinearArgs* args, float16 v, int m, int n,
                   global uchar* y, Bytes bias, Bytes multiplier,
                   Bytes residual) {
  const Lanes lanes = lanes_of(args, n);
  if (lanes.count <= 0) return;
  v = from_lane(v, lanes.first);
  const int column = n + lanes.first;
  const long i = column - args->n_begin;
  if (args->has_bias) {
    v = v + load_f32((global const float*)(bias + args->bias_offset), column,
                     lanes.count);
  }
  v = activate(v, args->activation);
  if (args->multiplier.dtype != 0) {
    v = v * load_row(multiplier + args->multiplier.offset,
                     args->multiplier.dtype,
                     m * args->multiplier.stride + i, lanes.count);
  }
  const long at = m * args->y.stride + i;
  if (args->residual.dtype != 0) {
    v = v + load_row(residual + args->residual.offset, args->residual.dtype,
                     m * args->residual.stride + i, lanes.count);
  } else if (args->accumulate) {
    v = v + load_row(y + args->y.offset, args->y.dtype, at, lanes.count);
  }
  store_row(y + args->y.offset, args->y.dtype, at, lanes.count, v);
}

#if INTEGER
// The raw sums, added to y if the op accumulates.
static void store_sums(const LinearArgs* args, int16 sums, int m, int n,
                       global uchar* y) {
  const Lanes lanes = lanes_of(args, n);
  int values[TILE];
  vstore16(sums, 0, values);
  global int* row = (global int*)(y + args->y.offset) + m * args->y.stride;
  for (int lane = 0; lane < lanes.count; ++lane) {
    const int i = lanes.first + lane;
    const int column = n + i - args->n_begin;
    const uint old = args->accumulate ? (uint)row[column] : 0u;
    row[column] = (int)(old + (uint)values[i]);
  }
}

// f32(sum + QUANT_BIAS), rounded once.
static float16 biased(const LinearArgs* args, int16 sums, int n,
                      global const int* quant_bias) {
  if (!args->has_quant_bias) return convert_float16(sums);
  const long16 bias = convert_long16(vload16(0, quant_bias + n));
  return convert_float16_rte(convert_long16(sums) + bias);
}
#endif

// Sums of one row to the numbers that the epilogue takes.
static float16 apply_scales(const LinearArgs* args, Bytes weight, float16 sums,
                            float row_scale, long tile) {
#if INTEGER && !GROUPED
  const Group group = load_group(weight, args, tile, 0);
  return sums * (row_scale * group.scale);
#else
  float16 scale = (float16)(1.0f);
  if (args->has_scale2) {
    scale =
        vload16(tile, (global const float*)(weight + args->scale2_offset));
  }
#if INTEGER
  return sums * (row_scale * scale);
#else
  return args->has_scale2 ? sums * scale : sums;
#endif
#endif
}
