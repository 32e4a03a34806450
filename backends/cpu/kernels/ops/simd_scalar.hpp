// SPDX-License-Identifier: Apache-2.0
//
// Sixteen f32 lanes in plain C++: the vector type of the scalar kernels, and
// the definition of what simd_avx2.hpp and simd_avx512.hpp do.  Kernels are
// templates over one of the three, so each is written once.

#pragma once

#include <stdint.h>

#include "backends/cpu/kernels/ops/convert.hpp"
#include "tessera/types.h"

namespace tessera::cpu {

struct Scalar {
  static constexpr int kLanes = 16;
  // Register tile of the matrix products in attention: rows, and vectors of
  // sixteen columns.
  static constexpr int kTileRows = 2;
  static constexpr int kTileVecs = 1;
  // Few rows in attention: at most so many, with so many vectors of sums.
  static constexpr int kFewRows = 4;
  static constexpr int kFewSums = 4;

  struct F {
    float lane[kLanes];
  };

  static F set1(float value) {
    F r;
    for (float& v : r.lane) v = value;
    return r;
  }
  static F zero() { return set1(0.0f); }

  // Elements index .. index + 15 of an array of kDtype, widened to f32.
  template <uint32_t kDtype>
  static F load(const void* base, int64_t index) {
    return load_n<kDtype>(base, index, kLanes);
  }
  // The first n of them; the other lanes are +0.
  template <uint32_t kDtype>
  static F load_n(const void* base, int64_t index, int n) {
    F r = zero();
    for (int i = 0; i < n; ++i) r.lane[i] = load_one<kDtype>(base, index + i);
    return r;
  }
  // Rounds to nearest even.
  template <uint32_t kDtype>
  static void store(void* base, int64_t index, F x) {
    store_n<kDtype>(base, index, x, kLanes);
  }
  template <uint32_t kDtype>
  static void store_n(void* base, int64_t index, F x, int n) {
    for (int i = 0; i < n; ++i) store_one<kDtype>(base, index + i, x.lane[i]);
  }

  static F add(F a, F b) {
    for (int i = 0; i < kLanes; ++i) a.lane[i] = a.lane[i] + b.lane[i];
    return a;
  }
  static F sub(F a, F b) {
    for (int i = 0; i < kLanes; ++i) a.lane[i] = a.lane[i] - b.lane[i];
    return a;
  }
  static F mul(F a, F b) {
    for (int i = 0; i < kLanes; ++i) a.lane[i] = a.lane[i] * b.lane[i];
    return a;
  }
  static F div(F a, F b) {
    for (int i = 0; i < kLanes; ++i) a.lane[i] = a.lane[i] / b.lane[i];
    return a;
  }
  // a * b + c; one or two roundings, as the ISA likes.
  static F fma(F a, F b, F c) { return add(mul(a, b), c); }
  // b where a is NaN.
  static F max(F a, F b) { return select_lt(b, a, a, b); }
  static F min(F a, F b) { return select_lt(a, b, a, b); }

  // a < b ? x : y, lane by lane.
  static F select_lt(F a, F b, F x, F y) {
    for (int i = 0; i < kLanes; ++i) {
      x.lane[i] = a.lane[i] < b.lane[i] ? x.lane[i] : y.lane[i];
    }
    return x;
  }
  static F select_nan(F a, F x, F y) {
    for (int i = 0; i < kLanes; ++i) {
      x.lane[i] = a.lane[i] != a.lane[i] ? x.lane[i] : y.lane[i];
    }
    return x;
  }
  static F and_bits(F a, uint32_t mask) {
    for (float& v : a.lane) v = tsr_from_bits_f32(tsr_bits_f32(v) & mask);
    return a;
  }
  // p * 2^n, where t is n + TSR_ROUND_MAGIC.
  static F scale_exponent(F p, F t) {
    for (int i = 0; i < kLanes; ++i) {
      p.lane[i] = tsr_from_bits_f32(tsr_bits_f32(p.lane[i]) +
                                    (tsr_bits_f32(t.lane[i]) << 23));
    }
    return p;
  }

  // Lane i takes lane i + w for w = 8, 4, 2, 1; lane 0 is the sum.
  static float sum(F x) {
    for (int w = kLanes / 2; w > 0; w /= 2) {
      for (int i = 0; i < w; ++i) x.lane[i] = x.lane[i] + x.lane[i + w];
    }
    return x.lane[0];
  }
  static float max_lane(F x) {
    float r = x.lane[0];
    for (float v : x.lane) r = v > r ? v : r;
    return r;
  }
  // out[i] is the sum of the lanes of x[i], in any order.
  static void sum_each(const F (&x)[kFewSums], float* out) {
    for (int i = 0; i < kFewSums; ++i) out[i] = sum(x[i]);
  }
  // Column i becomes row i.
  static void transpose(F (&x)[kLanes]) {
    for (int i = 0; i < kLanes; ++i) {
      for (int j = 0; j < i; ++j) {
        const float v = x[i].lane[j];
        x[i].lane[j] = x[j].lane[i];
        x[j].lane[i] = v;
      }
    }
  }
  // Brings the line of p to the second cache level; a hint.
  static void prefetch(const void* /*p*/) {}

 private:
  template <uint32_t kDtype>
  static float load_one(const void* base, int64_t i) {
    if constexpr (kDtype == TSR_F32) return static_cast<const float*>(base)[i];
    if constexpr (kDtype == TSR_I8) {
      return static_cast<float>(static_cast<const int8_t*>(base)[i]);
    }
    if constexpr (kDtype == TSR_F16) {
      return f32_from_f16(static_cast<const uint16_t*>(base)[i]);
    }
    if constexpr (kDtype == TSR_BF16) {
      return f32_from_bf16(static_cast<const uint16_t*>(base)[i]);
    }
  }
  template <uint32_t kDtype>
  static void store_one(void* base, int64_t i, float value) {
    if constexpr (kDtype == TSR_F32) static_cast<float*>(base)[i] = value;
    if constexpr (kDtype == TSR_I8) {
      const float t = value + TSR_ROUND_MAGIC;
      static_cast<int8_t*>(base)[i] = static_cast<int8_t>(tsr_bits_f32(t));
    }
    if constexpr (kDtype == TSR_F16) {
      static_cast<uint16_t*>(base)[i] = f16_from_f32(value);
    }
    if constexpr (kDtype == TSR_BF16) {
      static_cast<uint16_t*>(base)[i] = bf16_from_f32(value);
    }
  }
};

}  // namespace tessera::cpu
