// SPDX-License-Identifier: Apache-2.0
//
// tessera/portable_math.h, sixteen lanes at a time: the same operations in the
// same order, hence the same bits.  Compile with -ffp-contract=off.

#pragma once

#include "backends/cpu/kernels/ops/simd_scalar.hpp"
#include "tessera/portable_math.h"

namespace tessera::cpu {

template <typename V>
struct Portable {
  using F = typename V::F;

  static F abs(F x) { return V::and_bits(x, 0x7fffffffu); }
  static F negate_abs(F x) { return V::sub(V::zero(), abs(x)); }

  static F exp_sum(F hi, F lo) {
    const F magic = V::set1(TSR_ROUND_MAGIC);
    const F t = V::add(V::mul(hi, V::set1(TSR_LOG2E)), magic);
    const F n = V::sub(t, magic);
    const F high = V::sub(hi, V::mul(n, V::set1(TSR_LN2_HI)));
    const F r = V::add(V::sub(high, V::mul(n, V::set1(TSR_LN2_LO))), lo);
    F q = V::set1(TSR_EXP_C6);
    q = step(q, r, TSR_EXP_C5);
    q = step(q, r, TSR_EXP_C4);
    q = step(q, r, TSR_EXP_C3);
    q = step(q, r, TSR_EXP_C2);
    const F p = V::add(V::add(V::mul(V::mul(r, r), q), r), V::set1(1.0f));
    F y = V::scale_exponent(p, t);
    const F infinity = V::set1(tsr_from_bits_f32(0x7f800000u));
    y = V::select_lt(V::set1(TSR_EXP_MAX), hi, infinity, y);
    y = V::select_lt(hi, V::set1(TSR_EXP_MIN), V::zero(), y);
    return V::select_nan(hi, hi, y);
  }
  static F exp(F x) { return exp_sum(x, V::zero()); }

  static F sigmoid(F x) {
    const F one = V::set1(1.0f);
    const F e = exp(negate_abs(x));
    return V::div(V::select_lt(x, V::zero(), e, one), V::add(one, e));
  }
  static F silu(F x) { return V::mul(x, sigmoid(x)); }

  static F gelu_tanh(F x) {
    const F square = V::mul(x, x);
    const F cubic = V::mul(V::set1(TSR_GELU_TANH_C3), square);
    const F w = V::mul(x, V::add(V::set1(TSR_GELU_TANH_C1), cubic));
    return V::mul(x, sigmoid(w));
  }

  static F normal_tail(F s) {
    const F half = V::set1(-0.5f);
    const F h = V::and_bits(s, 0xfffff000u);
    const F hi = V::mul(half, V::mul(h, h));
    const F lo = V::mul(half, V::mul(V::sub(s, h), V::add(s, h)));
    const F one = V::set1(1.0f);
    const F u = V::div(one, V::add(one, V::mul(V::set1(TSR_TAIL_A), s)));
    F p = V::set1(TSR_TAIL_P9);
    p = step(p, u, TSR_TAIL_P8);
    p = step(p, u, TSR_TAIL_P7);
    p = step(p, u, TSR_TAIL_P6);
    p = step(p, u, TSR_TAIL_P5);
    p = step(p, u, TSR_TAIL_P4);
    p = step(p, u, TSR_TAIL_P3);
    p = step(p, u, TSR_TAIL_P2);
    p = step(p, u, TSR_TAIL_P1);
    p = step(p, u, TSR_TAIL_P0);
    return V::mul(V::mul(u, p), exp_sum(hi, lo));
  }
  static F gelu_erf(F x) {
    const F a = abs(x);
    const F limit = V::set1(TSR_TAIL_MAX);
    const F tail = normal_tail(V::select_lt(a, limit, a, limit));
    const F upper = V::sub(V::set1(1.0f), tail);
    return V::mul(x, V::select_lt(x, V::zero(), tail, upper));
  }

 private:
  static F step(F p, F x, float c) { return V::add(V::mul(p, x), V::set1(c)); }
};

// The 64 lanes of a portable sum, four vectors.
template <typename V>
class PortableSum {
 public:
  // Adds terms i .. i + 15, i a multiple of 16 that only ascends.  Lanes past
  // the last term hold +0.
  void add(int64_t i, typename V::F terms) {
    auto& lanes = lanes_[(i / V::kLanes) % 4];
    lanes = V::add(lanes, terms);
  }
  float total() const {
    return V::sum(
        V::add(V::add(lanes_[0], lanes_[2]), V::add(lanes_[1], lanes_[3])));
  }

 private:
  typename V::F lanes_[4] = {V::zero(), V::zero(), V::zero(), V::zero()};
};

}  // namespace tessera::cpu
