// SPDX-License-Identifier: Apache-2.0
//
// What surrounds the sums of a linear, written once over the vector types of
// kernels/ops: widening and quantizing rows of x, and the epilogue.

#pragma once

#include <stdint.h>

#include "backends/cpu/kernels/linear/linear_kernel.hpp"
#include "backends/cpu/kernels/linear/tile_scalar.hpp"
#include "backends/cpu/kernels/ops/portable_simd.hpp"
#include "backends/cpu/kernels/ops/simd_row.hpp"
#include "backends/cpu/kernels/ops/unroll.hpp"
#include "tessera/ops.h"

namespace tessera::cpu {

template <typename V>
class LinearRows {
  using T = Tile<V>;
  using F = typename V::F;
  using I = typename T::I;

 public:
  static constexpr LinearRowOps ops() {
    return {widen, quantize, add_group, finish, add_up_groups};
  }

 private:
  static int lanes_left(int64_t width, int64_t i) {
    return width - i < V::kLanes ? static_cast<int>(width - i) : V::kLanes;
  }

  static void widen(const void* x, uint32_t dtype, int64_t K, int64_t padded,
                    float* out) {
    const SimdRow<V> row(x, dtype);
    int64_t k = 0;
    for (; k < K; k += V::kLanes) {
      V::template store<TSR_F32>(out, k, row.load(k, lanes_left(K, k)));
    }
    for (; k < padded; k += V::kLanes) {
      V::template store<TSR_F32>(out, k, V::zero());
    }
  }

  static void add_up_groups(const void* x, uint32_t dtype, int64_t K,
                            int64_t group_size, float* out) {
    const SimdRow<V> row(x, dtype);
    for (int64_t begin = 0; begin < K; begin += group_size) {
      const int64_t end = begin + group_size < K ? begin + group_size : K;
      F sum = V::zero();
      for (int64_t k = begin; k < end; k += V::kLanes) {
        sum = V::add(sum, row.load(k, lanes_left(end, k)));
      }
      *out++ = V::sum(sum);
    }
  }

  // ---- Quantization

  struct Range {
    float amax;
    bool finite;
  };

  // By bits, of which infinity and NaN have the largest; four chains, for each
  // step of one waits for the step before.
  static Range range_of(const float* x, int64_t K) {
    constexpr int kChains = 4;
    I most[kChains];
    TSR_UNROLL
    for (I& m : most) m = T::bits_of(V::zero());
    const auto take = [](F v, I& m) {
      m = T::larger(T::bits(T::bits_of(v), 0x7fffffffu), m);
    };
    int64_t k = 0;
    for (; k + kChains * V::kLanes <= K; k += kChains * V::kLanes) {
      TSR_UNROLL
      for (int i = 0; i < kChains; ++i) {
        take(V::template load<TSR_F32>(x, k + i * V::kLanes), most[i]);
      }
    }
    for (; k < K; k += V::kLanes) {
      take(SimdRow<V>(x, TSR_F32).load(k, lanes_left(K, k)), most[0]);
    }
    const F amax = T::float_of(
        T::larger(T::larger(most[0], most[1]), T::larger(most[2], most[3])));
    return {V::max_lane(amax), V::sum(V::mul(amax, V::zero())) == 0.0f};
  }

  // How codes follow from x: clamp(rne(RN(x * inv)), lo, hi) + shift, as u8.
  struct Coding {
    F inv;
    F lo;
    F hi;
    int32_t shift;
  };

  // Clamping before rounding is the same, for the ends are integers.
  static F clamped(const Coding& coding, F x) {
    return V::max(V::min(V::mul(x, coding.inv), coding.hi), coding.lo);
  }

  static void encode(const Coding& coding, const float* x, int64_t K,
                     uint8_t* out) {
    constexpr int64_t kStep = int64_t{4} * V::kLanes;
    F v[4];
    int64_t k = 0;
    for (; k + kStep <= K; k += kStep) {
      TSR_UNROLL
      for (int i = 0; i < 4; ++i) {
        v[i] = clamped(coding, V::template load<TSR_F32>(x, k + i * V::kLanes));
      }
      T::store_codes(v, coding.shift, out + k);
    }
    if (k == K) return;
    for (int i = 0; i < 4; ++i) {
      const int64_t at = k + i * V::kLanes;
      v[i] = at < K
                 ? clamped(coding,
                           SimdRow<V>(x, TSR_F32).load(at, lanes_left(K, at)))
                 : V::zero();
    }
    uint8_t last[kStep];
    T::store_codes(v, coding.shift, last);
    for (int64_t i = 0; k + i < K; ++i) out[k + i] = last[i];
  }

  static float quantize(const RowQuantization& rule, const float* x, int64_t K,
                        int64_t padded, uint8_t* out) {
    const int32_t zero_point = rule.is_dynamic ? 0 : rule.parameters.zero_point;
    for (int64_t k = K; k < padded; ++k) out[k] = 0;

    const Range range = range_of(x, K);
    const bool tiny = rule.is_dynamic && range.amax < 0x1p-100f;
    if (!range.finite || tiny) {
      for (int64_t k = 0; k < K; ++k) {
        out[k] = static_cast<uint8_t>(zero_point + rule.offset);
      }
      return range.finite ? 0.0f : tsr_from_bits_f32(0x7fc00000u);
    }

    const float inv =
        rule.is_dynamic ? rule.max_code / range.amax : rule.parameters.inv;
    const Coding coding{V::set1(inv),
                        V::set1(static_cast<float>(rule.lo - zero_point)),
                        V::set1(static_cast<float>(rule.hi - zero_point)),
                        zero_point + rule.offset};
    encode(coding, x, K, out);
    if (!rule.is_dynamic) return rule.parameters.scale;
    const float reciprocal = 1.0f / rule.max_code;
    return range.amax * reciprocal;
  }

  // ---- Sums to y

  static void add_group(const int32_t* sums, const float* scales, int64_t M,
                        int64_t num_cols, float* groups) {
    for (int64_t m = 0; m < M; ++m) {
      for (int64_t j = 0; j < num_cols; j += V::kLanes) {
        const int64_t i = m * kChunkCols + j;
        const F sum = Tile<V>::fused(Tile<V>::from_i32(sums + i),
                                     V::template load<TSR_F32>(scales, j),
                                     V::template load<TSR_F32>(groups, i));
        V::template store<TSR_F32>(groups, i, sum);
      }
    }
  }

  static F scaled(const Finish& work, int64_t m, int64_t j) {
    const int64_t i = m * work.sums_stride + j;
    const F sum =
        work.sums_are_i32
            ? Tile<V>::from_i32(static_cast<const int32_t*>(work.sums) + i)
            : V::template load<TSR_F32>(work.sums, i);
    if (work.row_scale == nullptr && work.col_scale == nullptr) return sum;
    if (work.row_scale == nullptr) {
      return V::mul(sum, V::template load<TSR_F32>(work.col_scale, j));
    }
    F factor = V::set1(work.row_scale[m]);
    if (work.col_scale != nullptr) {
      factor = V::mul(factor, V::template load<TSR_F32>(work.col_scale, j));
    }
    return V::mul(sum, factor);
  }

  static F activate(uint32_t activation, F v) {
    switch (activation) {
      case TSR_EPILOGUE_SILU:
        return Portable<V>::silu(v);
      case TSR_EPILOGUE_GELU_ERF:
        return Portable<V>::gelu_erf(v);
      case TSR_EPILOGUE_GELU_TANH:
        return Portable<V>::gelu_tanh(v);
      default:
        return v;
    }
  }

  static void finish(const Finish& given) {
    const Finish work = given;  // so that no store to y may change it
    for (int64_t m = 0; m < work.M; ++m) {
      for (int64_t j = 0; j < work.num_cols; j += V::kLanes) {
        const int n = lanes_left(work.num_cols, j);
        F v = scaled(work, m, j);
        if (work.bias != nullptr) {
          v = V::add(v, SimdRow<V>(work.bias, TSR_F32).load(j, n));
        }
        v = activate(work.activation, v);
        if (work.multiplier.data != nullptr) {
          v = V::mul(v, SimdRow<V>(work.multiplier, m).load(j, n));
        }
        if (work.residual.data != nullptr) {
          v = V::add(v, SimdRow<V>(work.residual, m).load(j, n));
        }
        SimdRowOut<V>(work.y, m).store(j, n, v);
      }
    }
  }
};

}  // namespace tessera::cpu
