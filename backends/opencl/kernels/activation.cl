// SPDX-License-Identifier: Apache-2.0
//
// The rows of x as a linear's loops read them: widened, arranged and quantized;
// numerics.md section 1.  Compiled for X_DTYPE and ACT_QUANT, and HAS_PERMUTATION
// and HAS_MULTIPLIER, each 0 or 1: what is settled here is not asked per vector.

#define ACT_FLOAT 0
#define ACT_I8_DYNAMIC 1
#define ACT_I8_STATIC 2
#define ACT_U8_STATIC 3
#define ACT_I8_MIX 4
#define ACT_I4_DYNAMIC 5
#define ACT_F8_DYNAMIC 6
#define ACT_Q8 7

#define SMALLEST_AMAX 0x1p-100f

static int lanes_left(int width, int i) { return min(width - i, 16); }

// 16 columns of the weight's order, times INPUT_MULTIPLIER.
static float16 load_input(global const uchar* x, long row, int k, int n,
                          global const int* permutation,
                          global const float* multiplier) {
#if HAS_PERMUTATION
  float lanes[16];
  for (int lane = 0; lane < 16; ++lane) {
    lanes[lane] =
        lane < n ? load_one(x, X_DTYPE, row + permutation[k + lane]) : 0.0f;
#if HAS_MULTIPLIER
    if (lane < n) lanes[lane] = lanes[lane] * multiplier[permutation[k + lane]];
#endif
  }
  return vload16(0, lanes);
#else
  const float16 v = load_row(x, X_DTYPE, row + k, n);
  return HAS_MULTIPLIER ? v * load_f32(multiplier, k, n) : v;
#endif
}

// How the codes of a row follow from x.
typedef struct {
  float inv;
  float lo;  // of code - zero point
  float hi;
  float scale;
  bool is_zero;  // all codes are 0
} Coding;

typedef struct {
  float amax;
  float bad;  // 0, or NaN if the row is not finite
} RowRange;

static Coding dynamic_coding(RowRange range, float max_code) {
  Coding coding;
  const bool finite = range.bad == 0.0f;
  const bool tiny = range.amax < SMALLEST_AMAX;
  coding.is_zero = !finite || tiny;
  coding.inv = coding.is_zero ? 0.0f : divide(max_code, range.amax);
  coding.lo = -max_code;
  coding.hi = max_code;
  coding.scale = range.amax * divide(1.0f, max_code);
  if (tiny) coding.scale = 0.0f;
  if (!finite) coding.scale = NAN;
  return coding;
}

static Coding row_coding(RowRange range, int m, ActivationArgs args) {
  int act = ACT_QUANT;
  if (act == ACT_I8_MIX) {
    act = m < args.num_decode_rows ? ACT_I8_STATIC : ACT_I8_DYNAMIC;
  }
  if (act == ACT_F8_DYNAMIC) return dynamic_coding(range, 448.0f);
  if (act == ACT_I8_DYNAMIC || act == ACT_I4_DYNAMIC) {
    return dynamic_coding(range, act == ACT_I4_DYNAMIC ? 7.0f : 127.0f);
  }
  Coding coding;
  const int lowest = act == ACT_U8_STATIC ? 0 : -128;
  coding.is_zero = range.bad != 0.0f;
  coding.inv = args.static_inv;
  coding.lo = (float)(lowest - args.zero_point);
  coding.hi = (float)(lowest + 255 - args.zero_point);
  coding.scale = coding.is_zero ? NAN : args.static_scale;
  return coding;
}

// The nearest E4M3 value, ties to even, of |x| up to 448 and a little.
static float16 round_to_f8(float16 x) {
  const float16 magnitude = fabs(x);
  const float magic = 12582912.0f * 0x1p-9f;
  const float16 tiny = (magnitude + magic) - magic;
  const uint16 bits = as_uint16(magnitude);
  const float16 normal = as_float16((bits + 0x7ffffu + ((bits >> 20) & 1u)) &
                                    0xfff00000u);
  const float16 rounded = select(normal, tiny, magnitude < 0x1p-6f);
  return copysign(fmin(rounded, 448.0f), x);
}

static float16 encode(float16 x, Coding coding) {
  if (coding.is_zero) {
    return (float16)(ACT_QUANT == ACT_F8_DYNAMIC ? coding.scale : 0.0f);
  }
  const float16 product = x * coding.inv;
  if (ACT_QUANT == ACT_F8_DYNAMIC) return round_to_f8(product) * coding.scale;
  // Clamping before rounding is the same, for the ends are integers.
  return rint(clamp(product, coding.lo, coding.hi));
}

static void add_to_range(float16 v, float16* largest, float16* poison) {
  *largest = fmax(fabs(v), *largest);
  *poison = *poison + (v - v);
}

// Codes of 32 values with a scale of their own, as the numbers they stand for.
static float16 encode_q8(float16 x, float16 other) {
  float16 largest = (float16)(0.0f);
  float16 poison = (float16)(0.0f);
  add_to_range(x, &largest, &poison);
  add_to_range(other, &largest, &poison);
  const RowRange range = {max_lane(largest), sum_lanes(poison)};
  const Coding coding = dynamic_coding(range, 127.0f);
  return encode(x, coding) * coding.scale;
}

// True if one coding holds for a whole row.
#define IS_CODED_BY_ROW (ACT_QUANT != ACT_FLOAT && ACT_QUANT != ACT_Q8)

// `n` columns of row m from column k on; `coding` counts if IS_CODED_BY_ROW.
static float16 prepared_input(global const uchar* in, RowPlace x, int m, int k,
                              int n, const ActivationArgs* args,
                              global const int* permutation,
                              global const float* multiplier, Coding coding) {
  if (m >= args->M) return (float16)(0.0f);
  const float16 v =
      load_input(in, m * x.stride, k, n, permutation, multiplier);
#if ACT_QUANT == ACT_Q8
  const int other = k ^ 16;
  return encode_q8(v, load_input(in, m * x.stride, other,
                                 lanes_left(args->K, other), permutation,
                                 multiplier));
#else
  return IS_CODED_BY_ROW ? encode(v, coding) : v;
#endif
}
