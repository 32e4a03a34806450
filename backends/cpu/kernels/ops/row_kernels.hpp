// SPDX-License-Identifier: Apache-2.0
//
// The small ops over rows begin .. end - 1, as templates over the vector type.
// Included only by the one file per ISA that instantiates them.

#pragma once

#include "backends/cpu/kernels/ops/ops.hpp"
#include "backends/cpu/kernels/ops/portable_simd.hpp"
#include "backends/cpu/kernels/ops/rotate.hpp"
#include "backends/cpu/kernels/ops/simd_row.hpp"
#include "tessera/ops.h"

namespace tessera::cpu {

template <typename V>
struct RowKernels {
  using F = typename V::F;
  using Math = Portable<V>;
  using In = SimdRow<V>;
  using Out = SimdRowOut<V>;

  static void rms_norm(const RmsNorm& p, int64_t begin, int64_t end) {
    const In weight(p.weight);
    const float count = static_cast<float>(p.D);
    for (int64_t r = begin; r < end; ++r) {
      const In x(p.x, r);
      PortableSum<V> squares;
      for_vectors(p.D, [&](int64_t i, int n) {
        const F v = x.load(i, n);
        squares.add(i, V::mul(v, v));
      });
      const F factor = V::set1(rsqrt(squares.total() / count + p.eps));
      const Out y(p.y, r);
      for_vectors(p.D, [&](int64_t i, int n) {
        y.store(i, n, V::mul(V::mul(x.load(i, n), factor), weight.load(i, n)));
      });
    }
  }

  static void layer_norm(const LayerNorm& p, int64_t begin, int64_t end) {
    const In weight(p.weight);
    const In bias(p.bias);
    const float count = static_cast<float>(p.D);
    for (int64_t r = begin; r < end; ++r) {
      const In x(p.x, r);
      PortableSum<V> sum;
      for_vectors(p.D, [&](int64_t i, int n) { sum.add(i, x.load(i, n)); });
      const F mean = V::set1(sum.total() / count);
      PortableSum<V> squares;
      for_vectors(p.D, [&](int64_t i, int n) {
        const F d = first_lanes<V>(V::sub(x.load(i, n), mean), n);
        squares.add(i, V::mul(d, d));
      });
      const F factor = V::set1(rsqrt(squares.total() / count + p.eps));
      const Out y(p.y, r);
      for_vectors(p.D, [&](int64_t i, int n) {
        const F d = V::mul(V::sub(x.load(i, n), mean), factor);
        y.store(i, n, V::add(V::mul(d, weight.load(i, n)), bias.load(i, n)));
      });
    }
  }

  static void rope(const Rope& p, int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      const float* row = p.table + p.positions[r] * p.rotary_dim;
      const In x(p.x, r);
      const Out y(p.y, r);
      for (int64_t h = 0; h < p.num_heads; ++h) {
        rotate_head<V>(x.at(h * p.head_dim), y.at(h * p.head_dim), row,
                       {p.head_dim, p.rotary_dim, p.style});
      }
    }
  }

  static void add(const Add& p, int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      const In a(p.a, r);
      const In b(p.b, r);
      const Out y(p.y, r);
      for_vectors(p.D, [&](int64_t i, int n) {
        y.store(i, n, V::add(a.load(i, n), b.load(i, n)));
      });
    }
  }

  static void silu_mul(const SiluMul& p, int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      const In a(p.a, r);
      const In b(p.b, r);
      const Out y(p.y, r);
      for_vectors(p.D, [&](int64_t i, int n) {
        y.store(i, n, V::mul(Math::silu(a.load(i, n)), b.load(i, n)));
      });
    }
  }

  static void gelu(const Gelu& p, int64_t begin, int64_t end) {
    const bool erf = p.variant == TSR_EPILOGUE_GELU_ERF;
    for (int64_t r = begin; r < end; ++r) {
      const In x(p.x, r);
      const Out y(p.y, r);
      for_vectors(p.D, [&](int64_t i, int n) {
        const F v = x.load(i, n);
        y.store(i, n, erf ? Math::gelu_erf(v) : Math::gelu_tanh(v));
      });
    }
  }

  // exp is computed twice, so that no f32 row has to be kept.
  static void softmax(const Softmax& p, int64_t begin, int64_t end) {
    const F scale = V::set1(p.scale);
    for (int64_t r = begin; r < end; ++r) {
      const In x(p.x, r);
      const F lowest = V::set1(tsr_from_bits_f32(0xff800000u));
      F largest = lowest;
      for_vectors(p.D, [&](int64_t i, int n) {
        const F t = V::mul(x.load(i, n), scale);
        largest = V::max(first_lanes<V>(t, n, lowest), largest);
      });
      const F top = V::set1(V::max_lane(largest));
      const auto term = [&](int64_t i, int n) {
        return Math::exp(V::sub(V::mul(x.load(i, n), scale), top));
      };
      PortableSum<V> sum;
      for_vectors(p.D, [&](int64_t i, int n) {
        sum.add(i, first_lanes<V>(term(i, n), n));
      });
      const F total = V::set1(sum.total());
      const Out y(p.y, r);
      for_vectors(p.D, [&](int64_t i, int n) {
        y.store(i, n, V::div(term(i, n), total));
      });
    }
  }

  static void gather(const Gather& p, int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      const In x(p.table, p.ids[r]);
      const Out y(p.y, r);
      for_vectors(p.D, [&](int64_t i, int n) { y.store(i, n, x.load(i, n)); });
    }
  }

 private:
  // body(i, n) for i = 0, 16, ... and the n <= 16 elements from there.
  template <typename Body>
  static void for_vectors(int64_t D, const Body& body) {
    int64_t i = 0;
    for (; i + V::kLanes <= D; i += V::kLanes) body(i, V::kLanes);
    if (i < D) body(i, static_cast<int>(D - i));
  }
  static float rsqrt(float x) { return tsr_rsqrt_f32(x); }
};

}  // namespace tessera::cpu
