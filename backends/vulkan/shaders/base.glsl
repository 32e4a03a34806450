// SPDX-License-Identifier: Apache-2.0
//
// What every shader starts with: memory by address, element types, sums over
// the work-group, and the functions of tessera/portable_math.h, operation by
// operation.
//
// Loops that run at least once test their condition at the end: a driver that runs
// shaders on a CPU runs any other's body once more, with all invocations off.

#extension GL_EXT_buffer_reference : require
#extension GL_EXT_buffer_reference2 : require
#extension GL_EXT_scalar_block_layout : require
#extension GL_EXT_shader_explicit_arithmetic_types_int64 : require
#extension GL_EXT_control_flow_attributes : require

// WORDS: for devices that load and store whole words alone.
#ifndef WORDS
#extension GL_EXT_shader_16bit_storage : require
#extension GL_EXT_shader_8bit_storage : require
#extension GL_EXT_shader_explicit_arithmetic_types_int16 : require
#extension GL_EXT_shader_explicit_arithmetic_types_int8 : require
#endif
// SUBGROUPS: for devices whose subgroups shuffle, vote and find maxima.
#ifdef SUBGROUPS
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_arithmetic : require
#extension GL_KHR_shader_subgroup_shuffle : require
#endif

// BLOCK_FORM: block.glsl says how large a work-group is.
#ifndef BLOCK_FORM
#define GROUP 64u
layout(local_size_x = 64) in;
#endif

// Of a subgroup.
layout(constant_id = 30) const uint LANES = 8u;

// Iterations of all loops together after which the driver ends an invocation's
// loops without a word; 0: it does not.
layout(constant_id = 29) const uint MOST_ITERATIONS = 0u;

// 1: the driver divides and takes roots with correct rounding.
layout(constant_id = 0) const uint EXACT_DIVIDE = 0u;

layout(buffer_reference, scalar, buffer_reference_align = 4) buffer F32s {
  float v[];
};
layout(buffer_reference, scalar, buffer_reference_align = 16) buffer F32x4s {
  vec4 v[];
};
layout(buffer_reference, scalar, buffer_reference_align = 4) buffer I32s {
  int v[];
};
layout(buffer_reference, scalar, buffer_reference_align = 4) buffer U32s {
  uint v[];
};
layout(buffer_reference, scalar, buffer_reference_align = 8) buffer U32x2s {
  uvec2 v[];
};
layout(buffer_reference, scalar, buffer_reference_align = 16) buffer U32x4s {
  uvec4 v[];
};

// ---- Halves and bytes ---------------------------------------------------------

#ifdef WORDS
uint load_part(uint64_t at, uint mask) {
  return (U32s(at & ~3ul).v[0] >> (uint(at & 3ul) * 8u)) & mask;
}
// What else the word holds may change meanwhile, and stays.
void store_part(uint64_t at, uint mask, uint bits) {
  const uint changed = load_part(at, mask) ^ (bits & mask);
  atomicXor(U32s(at & ~3ul).v[0], changed << (uint(at & 3ul) * 8u));
}
uint load_half(uint64_t at) { return load_part(at, 0xffffu); }
void store_half(uint64_t at, uint bits) { store_part(at, 0xffffu, bits); }
int load_byte(uint64_t at) {
  return bitfieldExtract(int(load_part(at, 0xffu)), 0, 8);
}
void store_byte(uint64_t at, int value) { store_part(at, 0xffu, uint(value)); }
#else
layout(buffer_reference, scalar, buffer_reference_align = 2) buffer U16s {
  uint16_t v[];
};
layout(buffer_reference, scalar, buffer_reference_align = 1) buffer I8s {
  int8_t v[];
};
uint load_half(uint64_t at) { return uint(U16s(at).v[0]); }
void store_half(uint64_t at, uint bits) { U16s(at).v[0] = uint16_t(bits); }
int load_byte(uint64_t at) { return int(I8s(at).v[0]); }
void store_byte(uint64_t at, int value) { I8s(at).v[0] = int8_t(value); }
#endif

// Rows of a tensor: row r starts at element r * stride from `address`.
struct RowPlace {
  uint64_t address;
  int64_t stride;
  int dtype;  // 0: there is no such tensor
  int reserved;
};

// `args`, which main() fills from `place` first of all: drivers that run shaders
// on a CPU read an address for each invocation, but for all at once where no
// branch or loop is open.
#define READ_ARGS_ONCE(Struct)                                             \
  layout(buffer_reference, scalar, buffer_reference_align = 8) buffer      \
      ArgsPlace {                                                          \
    Struct v;                                                              \
  };                                                                       \
  layout(push_constant) uniform Push { ArgsPlace place; };                 \
  Struct args;

#define TSR_F32 1
#define TSR_F16 2
#define TSR_BF16 3
#define TSR_I32 4

#define INFINITE uintBitsToFloat(0x7f800000u)
#define NOT_A_NUMBER uintBitsToFloat(0x7fc00000u)

bool is_nan(float x) { return (floatBitsToUint(x) & 0x7fffffffu) > 0x7f800000u; }
bool is_finite(float x) {
  return (floatBitsToUint(x) & 0x7f800000u) != 0x7f800000u;
}

// ---- Faults: the first one of a step, read by the host ----------------------

#define FAULT_TOKEN 1     // an id outside its table
#define FAULT_POSITION 2  // a position outside the rotation table
#define FAULT_SLOT 3      // a slot outside the pool
#define FAULT_BLOCK 4     // a block outside the pool
#define FAULT_SEQUENCE 5  // lengths that do not fit together
#define FAULT_LENGTH 6    // more keys than MOST_ITERATIONS lets a loop see

void report_fault(uint64_t fault, int kind, int value) {
  I32s place = I32s(fault);
  if (atomicCompSwap(place.v[0], 0, kind) == 0) place.v[1] = value;
}

// ---- Elements -----------------------------------------------------------------

float f16_to_f32(uint h) {
  const uint magnitude = (h & 0x7fffu) << 13;
  const uint exponent = magnitude & 0x0f800000u;
  uint bits = magnitude + 0x38000000u;
  if (exponent == 0u) {
    bits = floatBitsToUint(float(h & 0x3ffu) * 5.9604644775390625e-8);
  } else if (exponent == 0x0f800000u) {
    bits = magnitude + 0x70000000u;
  }
  return uintBitsToFloat(bits | ((h & 0x8000u) << 16));
}

uint f32_to_f16(float x) {
  const uint bits = floatBitsToUint(x);
  const uint sign = (bits >> 16) & 0x8000u;
  const uint magnitude = bits & 0x7fffffffu;
  const uint odd = (magnitude >> 13) & 1u;
  uint h = (magnitude - 0x38000000u + 0xfffu + odd) >> 13;
  if (magnitude < 0x38800000u) {
    // 0.5 has a last place of 2^-24, the spacing of subnormals.
    precise const float shifted = uintBitsToFloat(magnitude) + 0.5;
    h = floatBitsToUint(shifted) - 0x3f000000u;
  }
  if (magnitude >= 0x47800000u) h = 0x7c00u;
  if (magnitude > 0x7f800000u) h = 0x7e00u;
  return h | sign;
}

uint f32_to_bf16(float x) {
  const uint bits = floatBitsToUint(x);
  if (is_nan(x)) return (bits >> 16) | 0x40u;
  return (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
}

float load_one(uint64_t base, int dtype, int64_t element) {
  if (dtype == TSR_F32) return F32s(base + element * 4).v[0];
  const uint bits = load_half(base + element * 2);
  return dtype == TSR_F16 ? f16_to_f32(bits) : uintBitsToFloat(bits << 16);
}

void store_one(uint64_t base, int dtype, int64_t element, float x) {
  if (dtype == TSR_F32) {
    F32s(base + element * 4).v[0] = x;
    return;
  }
  const uint bits = dtype == TSR_F16 ? f32_to_f16(x) : f32_to_bf16(x);
  store_half(base + element * 2, bits);
}

float load_place(RowPlace place, int64_t row, int i) {
  return load_one(place.address, place.dtype, row * place.stride + i);
}

void store_place(RowPlace place, int64_t row, int i, float x) {
  store_one(place.address, place.dtype, row * place.stride + i, x);
}

// ---- Correct rounding where the driver does not promise it --------------------

// a * b + c rounded once.
// Source: Boldo and Melquiond, IEEE Trans. Computers 57(4), 2008, figure 6: the
// two small parts are added with rounding to odd.
float fma_exact(float a, float b, float c) {
  precise const float product = a * b;
  precise const float plain = product + c;
  if (!is_finite(plain) || a == 0.0 || b == 0.0) return plain;
  precise const float ca = 4097.0 * a;
  precise const float ah = ca - (ca - a);
  precise const float al = a - ah;
  precise const float cb = 4097.0 * b;
  precise const float bh = cb - (cb - b);
  precise const float bl = b - bh;
  precise const float product_low =
      ((ah * bh - product) + ah * bl + al * bh) + al * bl;
  precise const float th = c + product_low;
  precise const float tv = th - c;
  precise const float tl = (c - (th - tv)) + (product_low - tv);
  precise const float vh = product + th;
  precise const float vv = vh - product;
  precise const float vl = (product - (vh - vv)) + (th - vv);
  precise float odd = tl + vl;
  precise const float ov = odd - tl;
  precise const float lost = (tl - (odd - ov)) + (vl - ov);
  if (lost != 0.0 && (floatBitsToUint(odd) & 1u) == 0u) {
    const bool away = (lost > 0.0) == (odd > 0.0);
    odd = uintBitsToFloat(floatBitsToUint(odd) + (away ? 1u : 0xffffffffu));
  }
  precise const float result = vh + odd;
  return result;
}

// Source: Markstein, IBM J. Res. Dev. 34(1), 1990, theorem 8.2.
float divide(float a, float b) {
  precise const float q = a / b;
  if (EXACT_DIVIDE != 0u || !is_finite(q)) return q;
  precise const float reciprocal = 1.0 / b;
  const float corrected = fma_exact(fma_exact(-q, b, a), reciprocal, q);
  return is_finite(corrected) ? corrected : q;
}

float square_root(float x) {
  precise const float s = sqrt(x);
  if (EXACT_DIVIDE != 0u || !(s > 0.0) || !is_finite(s)) return s;
  return fma_exact(fma_exact(-s, s, x), divide(0.5, s), s);
}

// ---- tessera/portable_math.h --------------------------------------------------

float portable_exp_sum(float hi, float lo) {
  if (hi > uintBitsToFloat(0x42b17217u)) return INFINITE;
  if (hi < -uintBitsToFloat(0x42aeac4fu)) return 0.0;
  if (is_nan(hi)) return hi;
  precise const float t = hi * uintBitsToFloat(0x3fb8aa3bu) + 12582912.0;
  precise const float n = t - 12582912.0;
  precise const float r = ((hi - n * uintBitsToFloat(0x3f318000u)) -
                           n * uintBitsToFloat(0xb95e8083u)) +
                          lo;
  precise float q = uintBitsToFloat(0x3ab5118au);
  q = q * r + uintBitsToFloat(0x3c091d47u);
  q = q * r + uintBitsToFloat(0x3d2aac7bu);
  q = q * r + uintBitsToFloat(0x3e2aaa48u);
  q = q * r + uintBitsToFloat(0x3efffffeu);
  precise const float p = ((r * r) * q + r) + 1.0;
  return uintBitsToFloat(floatBitsToUint(p) + (floatBitsToUint(t) << 23));
}

float portable_exp(float x) { return portable_exp_sum(x, 0.0); }

float portable_sigmoid(float x) {
  const float e = portable_exp(-abs(x));
  precise const float below = 1.0 + e;
  return divide(x < 0.0 ? e : 1.0, below);
}

float portable_silu(float x) {
  precise const float y = x * portable_sigmoid(x);
  return y;
}

float portable_gelu_tanh(float x) {
  precise const float w = x * (uintBitsToFloat(0x3fcc422au) +
                               uintBitsToFloat(0x3d922279u) * (x * x));
  precise const float y = x * portable_sigmoid(w);
  return y;
}

float portable_normal_tail(float s) {
  const float h = uintBitsToFloat(floatBitsToUint(s) & 0xfffff000u);
  precise const float hi = -0.5 * (h * h);
  precise const float lo = -0.5 * ((s - h) * (s + h));
  precise const float below = 1.0 + uintBitsToFloat(0x3e99999au) * s;
  const float u = divide(1.0, below);
  precise float p = uintBitsToFloat(0xbca89b7eu);
  p = p * u + uintBitsToFloat(0x3de5ca1bu);
  p = p * u + uintBitsToFloat(0xbe691b0au);
  p = p * u + uintBitsToFloat(0x3e4392e1u);
  p = p * u + uintBitsToFloat(0xbda13e6au);
  p = p * u + uintBitsToFloat(0x3dc421ceu);
  p = p * u + uintBitsToFloat(0x3da0d4fcu);
  p = p * u + uintBitsToFloat(0x3de1b254u);
  p = p * u + uintBitsToFloat(0x3df4e434u);
  p = p * u + uintBitsToFloat(0x3df51e2eu);
  precise const float y = (u * p) * portable_exp_sum(hi, lo);
  return y;
}

float portable_gelu_erf(float x) {
  const float a = abs(x);
  const float tail = portable_normal_tail(a < 14.0 ? a : 14.0);
  precise const float y = x * (x < 0.0 ? tail : 1.0 - tail);
  return y;
}

float portable_rsqrt(float x) { return divide(1.0, square_root(x)); }

#ifndef BLOCK_FORM
// ---- Over the work-group; every invocation calls them ---------------------------

shared float group_values[64];

#ifdef SUBGROUPS
// Every subgroup adds up all 64, in the order of the portable sum: lanes that far
// apart as long as they are not of one subgroup, then by shuffles.
float group_sum(float x) {
  barrier();
  group_values[gl_LocalInvocationIndex] = x;
  barrier();
  const uint lane = gl_SubgroupInvocationID;
  precise float sum = group_values[lane];
  if (LANES <= 32u) {
    float parts[16];
    const uint count = min(64u / LANES, 16u);
    [[unroll]] for (uint i = 0u; i < 16u; ++i) {
      if (i < count) parts[i] = group_values[i * LANES + lane];
    }
    [[unroll]] for (uint half_count = 8u; half_count > 0u; half_count /= 2u) {
      [[unroll]] for (uint i = 0u; i < half_count; ++i) {
        if (2u * half_count <= count) {
          precise const float two = parts[i] + parts[i + half_count];
          parts[i] = two;
        }
      }
    }
    sum = parts[0];
  }
  [[unroll]] for (uint step = 32u; step > 0u; step /= 2u) {
    if (step < LANES) sum = sum + subgroupShuffleXor(sum, step);
  }
  return sum;
}

float group_max(float x) {
  const float top = subgroupMax(x);
  barrier();
  if (subgroupElect()) group_values[gl_SubgroupID] = top;
  barrier();
  float result = group_values[0];
  [[unroll]] for (uint i = 1u; i < GROUP / LANES; ++i) {
    result = max(result, group_values[i]);
  }
  return result;
}

bool group_any(bool x) { return group_max(x ? 1.0 : 0.0) > 0.0; }
#else
// In the order of the portable sum of 64 lanes.
float group_sum(float x) {
  const uint lane = gl_LocalInvocationIndex;
  barrier();
  group_values[lane] = x;
  [[unroll]] for (uint step = 32u; step > 0u; step /= 2u) {
    barrier();
    if (lane < step) {
      precise const float sum = group_values[lane] + group_values[lane + step];
      group_values[lane] = sum;
    }
  }
  barrier();
  return group_values[0];
}

float group_max(float x) {
  const uint lane = gl_LocalInvocationIndex;
  barrier();
  group_values[lane] = x;
  [[unroll]] for (uint step = 32u; step > 0u; step /= 2u) {
    barrier();
    if (lane < step) {
      group_values[lane] = max(group_values[lane], group_values[lane + step]);
    }
  }
  barrier();
  return group_values[0];
}

shared uint group_flag;

bool group_any(bool x) {
  barrier();
  if (gl_LocalInvocationIndex == 0u) group_flag = 0u;
  barrier();
  if (x) group_flag = 1u;
  barrier();
  return group_flag != 0u;
}
#endif
#endif
