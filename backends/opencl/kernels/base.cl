// SPDX-License-Identifier: Apache-2.0
//
// What every kernel starts with: element types, vectors of 16, and the float
// functions of tessera/portable_math.h on them, operation by operation.

#pragma OPENCL FP_CONTRACT OFF

#define TSR_F32 1
#define TSR_F16 2
#define TSR_BF16 3
#define TSR_I32 4

// How f16 becomes f32.
#define HALF_BITS 0     // by shifts and masks
#define HALF_STORAGE 1  // by vload_half and vstore_half
#define HALF_NATIVE 2   // by cl_khr_fp16
#ifndef HALF
#define HALF HALF_BITS
#endif

// How integers are multiplied by one work-item.
#define PAIRS_OFF 0       // as f32, which holds the sums of short blocks exactly
#define PAIRS_EMULATED 1  // two s16 at a time
#define PAIRS_NATIVE 2    // by an instruction; as f32 where there is none
#ifndef PAIRS
#define PAIRS PAIRS_OFF
#endif
#if PAIRS == PAIRS_NATIVE && !defined(__AVX512BW__) && !defined(__AVX2__)
#undef PAIRS
#define PAIRS PAIRS_OFF
#endif

#define ONE_ITEM __attribute__((reqd_work_group_size(1, 1, 1)))

// ---- Faults: the first one of a step, read by the host ----------------------

#define FAULT_TOKEN 1     // an id outside its table
#define FAULT_POSITION 2  // a position outside the rotation table
#define FAULT_SLOT 3      // a slot outside the pool
#define FAULT_BLOCK 4     // a block outside the pool
#define FAULT_SEQUENCE 5  // lengths that do not fit together

static void report_fault(global int* fault, int kind, int value) {
  if (atomic_cmpxchg(fault, 0, kind) == 0) fault[1] = value;
}

// ---- Memory ---------------------------------------------------------------------

// Asks for the cache line of an address, which may lie outside of all buffers.
static void fetch_line(global const uchar* address) {
#if defined(__has_builtin)
#if __has_builtin(__builtin_prefetch)
  __builtin_prefetch(address);
#endif
#endif
}

// The same, to write it.
static void fetch_line_to_write(global uchar* address) {
#if defined(__has_builtin)
#if __has_builtin(__builtin_prefetch)
  __builtin_prefetch(address, 1);
#endif
#endif
}

// ---- 16-bit types -------------------------------------------------------------

#if HALF == HALF_NATIVE
#pragma OPENCL EXTENSION cl_khr_fp16 : enable

static float16 f16_to_f32(ushort16 half_bits) {
  return convert_float16(as_half16(half_bits));
}

static ushort16 f32_to_f16(float16 x) {
  return as_ushort16(convert_half16_rte(x));
}
#elif HALF == HALF_STORAGE
// Every device converts on the way to and from memory.
static float16 f16_to_f32(ushort16 half_bits) {
  ushort lanes[16];
  vstore16(half_bits, 0, lanes);
  return vload_half16(0, (private const half*)lanes);
}

static ushort16 f32_to_f16(float16 x) {
  ushort lanes[16];
  vstore_half16_rte(x, 0, (private half*)lanes);
  return vload16(0, lanes);
}
#else
static float16 f16_to_f32(ushort16 half_bits) {
  const uint16 h = convert_uint16(half_bits);
  const uint16 magnitude = (h & 0x7fffu) << 13;
  const uint16 exponent = magnitude & 0x0f800000u;
  const float16 normal = as_float16(magnitude + 0x38000000u);
  const float16 tiny = as_float16(magnitude + 0x38800000u) - 0x1p-14f;
  const float16 special = as_float16(magnitude + 0x70000000u);
  float16 value = select(normal, tiny, exponent == 0u);
  value = select(value, special, exponent == 0x0f800000u);
  return as_float16(as_uint16(value) | ((h & 0x8000u) << 16));
}

static ushort16 f32_to_f16(float16 x) {
  const uint16 bits = as_uint16(x);
  const uint16 sign = (bits >> 16) & 0x8000u;
  const uint16 magnitude = bits & 0x7fffffffu;
  const uint16 odd = (magnitude >> 13) & 1u;
  uint16 h = (magnitude - 0x38000000u + 0xfffu + odd) >> 13;
  // 0.5 has a last place of 2^-24, the spacing of subnormals.
  const uint16 tiny = as_uint16(as_float16(magnitude) + 0.5f) - 0x3f000000u;
  h = select(h, tiny, magnitude < 0x38800000u);
  h = select(h, (uint16)(0x7c00u), magnitude >= 0x47800000u);
  h = select(h, (uint16)(0x7e00u), magnitude > 0x7f800000u);
  return convert_ushort16(h | sign);
}
#endif

static float16 bf16_to_f32(ushort16 bits) {
  return as_float16(convert_uint16(bits) << 16);
}

static ushort16 f32_to_bf16(float16 x) {
  const uint16 bits = as_uint16(x);
  const uint16 rounded = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
  const uint16 quiet = (bits >> 16) | 0x40u;
  return convert_ushort16(
      select(rounded, quiet, (bits & 0x7fffffffu) > 0x7f800000u));
}

// ---- Vectors of 16 elements ------------------------------------------------

// Elements i .. i + n - 1 of a row; lanes n .. 15 are +0.
static float16 load_f32(global const float* row, long i, int n) {
  if (n >= 16) return vload16(0, row + i);
  float lanes[16];
  for (int lane = 0; lane < 16; ++lane) {
    lanes[lane] = lane < n ? row[i + lane] : 0.0f;
  }
  return vload16(0, lanes);
}

static ushort16 load_u16(global const ushort* row, long i, int n) {
  if (n >= 16) return vload16(0, row + i);
  ushort lanes[16];
  for (int lane = 0; lane < 16; ++lane) {
    lanes[lane] = lane < n ? row[i + lane] : (ushort)0;
  }
  return vload16(0, lanes);
}

// Of a row that starts `element` elements after `base`.
static float16 load_row(global const uchar* base, int dtype, long element,
                        int n) {
  if (dtype == TSR_F32) {
    return load_f32((global const float*)base, element, n);
  }
  const ushort16 bits = load_u16((global const ushort*)base, element, n);
  return dtype == TSR_F16 ? f16_to_f32(bits) : bf16_to_f32(bits);
}

static float load_one(global const uchar* base, int dtype, long element) {
  if (dtype == TSR_F32) return ((global const float*)base)[element];
  const ushort16 bits = (ushort16)(((global const ushort*)base)[element]);
  return dtype == TSR_F16 ? f16_to_f32(bits).s0 : bf16_to_f32(bits).s0;
}

static void store_row(global uchar* base, int dtype, long element, int n,
                      float16 x) {
  if (dtype == TSR_F32) {
    global float* row = (global float*)base + element;
    if (n >= 16) {
      vstore16(x, 0, row);
      return;
    }
    float lanes[16];
    vstore16(x, 0, lanes);
    for (int lane = 0; lane < n; ++lane) row[lane] = lanes[lane];
    return;
  }
  const ushort16 bits = dtype == TSR_F16 ? f32_to_f16(x) : f32_to_bf16(x);
  global ushort* row = (global ushort*)base + element;
  if (n >= 16) {
    vstore16(bits, 0, row);
    return;
  }
  ushort lanes[16];
  vstore16(bits, 0, lanes);
  for (int lane = 0; lane < n; ++lane) row[lane] = lanes[lane];
}

// x with lanes n .. 15 replaced by `rest`.
static float16 first_lanes(float16 x, int n, float rest) {
  if (n >= 16) return x;
  float lanes[16];
  vstore16(x, 0, lanes);
  for (int lane = n; lane < 16; ++lane) lanes[lane] = rest;
  return vload16(0, lanes);
}

// Lanes of a (0 to 15) and of b (16 to 31).  Built-in where it is known, for
// shuffle2 may go by way of memory.
#if defined(__has_builtin)
#if __has_builtin(__builtin_shufflevector)
#define LANES(a, b, s0, s1, s2, s3, s4, s5, s6, s7, s8, s9, sa, sb, sc, sd,  \
              se, sf)                                                         \
  __builtin_shufflevector(a, b, s0, s1, s2, s3, s4, s5, s6, s7, s8, s9, sa,   \
                          sb, sc, sd, se, sf)
#endif
#endif
#ifndef LANES
#define LANES(a, b, s0, s1, s2, s3, s4, s5, s6, s7, s8, s9, sa, sb, sc, sd,  \
              se, sf)                                                         \
  shuffle2(a, b, (uint16)(s0, s1, s2, s3, s4, s5, s6, s7, s8, s9, sa, sb, sc, \
                          sd, se, sf))
#endif

#if PAIRS == PAIRS_NATIVE
// Lane i: the products of the halves of a and of b, as s16, added up.
#if defined(__AVX512BW__)
typedef short Halves __attribute__((ext_vector_type(32)));
static int16 multiply_pairs(int16 a, int16 b) {
  return __builtin_astype(
      __builtin_ia32_pmaddwd512(__builtin_astype(a, Halves),
                                __builtin_astype(b, Halves)),
      int16);
}
#else
static int8 multiply_8_pairs(int8 a, int8 b) {
  return __builtin_astype(
      __builtin_ia32_pmaddwd256(__builtin_astype(a, short16),
                                __builtin_astype(b, short16)),
      int8);
}
static int16 multiply_pairs(int16 a, int16 b) {
  return (int16)(multiply_8_pairs(a.lo, b.lo), multiply_8_pairs(a.hi, b.hi));
}
#endif
#endif

static float max_lane(float16 x) {
  const float8 a = fmax(x.lo, x.hi);
  const float4 b = fmax(a.lo, a.hi);
  return fmax(fmax(b.s0, b.s1), fmax(b.s2, b.s3));
}

static float sum_lanes(float16 x) {
  const float8 a = x.lo + x.hi;
  const float4 b = a.lo + a.hi;
  const float2 c = b.lo + b.hi;
  return c.s0 + c.s1;
}

// ---- Correct rounding where the device's own is not ---------------------------

#ifdef EXACT_DIVIDE
static float divide(float a, float b) { return a / b; }
static float16 divide16(float16 a, float16 b) { return a / b; }
static float square_root(float x) { return sqrt(x); }
#else
// One Newton step on the quotient with its exact remainder.
// Source: Markstein, IBM J. Res. Dev. 34(1), 1990, theorem 8.2.
static float divide(float a, float b) {
  const float q = a / b;
  const float corrected = fma(fma(-q, b, a), 1.0f / b, q);
  return isfinite(q) && isfinite(corrected) ? corrected : q;
}
static float16 divide16(float16 a, float16 b) {
  const float16 q = a / b;
  const float16 corrected = fma(fma(-q, b, a), 1.0f / b, q);
  return select(q, corrected, isfinite(q) & isfinite(corrected));
}
static float square_root(float x) {
  const float s = sqrt(x);
  if (!(s > 0.0f) || !isfinite(s)) return s;
  return fma(fma(-s, s, x), 0.5f / s, s);
}
#endif

// ---- tessera/portable_math.h on 16 lanes -----------------------------------

static float16 portable_exp_sum(float16 hi, float16 lo) {
  const float16 t = hi * 0x1.715476p+0f + 12582912.0f;
  const float16 n = t - 12582912.0f;
  const float16 r = ((hi - n * 0x1.63p-1f) - n * -0x1.bd0106p-13f) + lo;
  float16 q = 0x1.6a2314p-10f;
  q = q * r + 0x1.123a8ep-7f;
  q = q * r + 0x1.5558f6p-5f;
  q = q * r + 0x1.55549p-3f;
  q = q * r + 0x1.fffffcp-2f;
  const float16 p = ((r * r) * q + r) + 1.0f;
  float16 y = as_float16(as_uint16(p) + (as_uint16(t) << 23));
  y = select(y, (float16)(INFINITY), hi > 0x1.62e42ep+6f);
  y = select(y, (float16)(0.0f), hi < -0x1.5d589ep+6f);
  return select(hi, y, hi == hi);
}

static float16 portable_exp(float16 x) {
  return portable_exp_sum(x, (float16)(0.0f));
}

static float16 portable_sigmoid(float16 x) {
  const float16 e = portable_exp(-fabs(x));
  return divide16(select((float16)(1.0f), e, x < 0.0f), 1.0f + e);
}

static float16 portable_silu(float16 x) { return x * portable_sigmoid(x); }

static float16 portable_gelu_tanh(float16 x) {
  const float16 w = x * (0x1.988454p+0f + 0x1.2444f2p-4f * (x * x));
  return x * portable_sigmoid(w);
}

static float16 portable_normal_tail(float16 s) {
  const float16 h = as_float16(as_uint16(s) & 0xfffff000u);
  const float16 hi = -0.5f * (h * h);
  const float16 lo = -0.5f * ((s - h) * (s + h));
  const float16 u = divide16((float16)(1.0f), 1.0f + 0x1.333334p-2f * s);
  float16 p = -0x1.5136fcp-6f;
  p = p * u + 0x1.cb9436p-4f;
  p = p * u + -0x1.d23614p-3f;
  p = p * u + 0x1.8725c2p-3f;
  p = p * u + -0x1.427cd4p-4f;
  p = p * u + 0x1.88439cp-4f;
  p = p * u + 0x1.41a9f8p-4f;
  p = p * u + 0x1.c364a8p-4f;
  p = p * u + 0x1.e9c868p-4f;
  p = p * u + 0x1.ea3c5cp-4f;
  return (u * p) * portable_exp_sum(hi, lo);
}

static float16 portable_gelu_erf(float16 x) {
  const float16 a = fabs(x);
  const float16 tail =
      portable_normal_tail(select((float16)(14.0f), a, a < 14.0f));
  return x * select(1.0f - tail, tail, x < 0.0f);
}

static float portable_rsqrt(float x) { return divide(1.0f, square_root(x)); }

// A sum of 64 lanes: term k goes to lane k % 64.
typedef struct {
  float16 part[4];
} PortableSum;

static PortableSum start_sum(void) {
  PortableSum sum;
  for (int i = 0; i < 4; ++i) sum.part[i] = (float16)(0.0f);
  return sum;
}

static float total_of(PortableSum sum) {
  const float16 w32a = sum.part[0] + sum.part[2];
  const float16 w32b = sum.part[1] + sum.part[3];
  return sum_lanes(w32a + w32b);
}
