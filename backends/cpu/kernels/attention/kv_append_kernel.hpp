// SPDX-License-Identifier: Apache-2.0
//
// kv_append over tokens begin .. end - 1, a template over the vector type.

#pragma once

#include "backends/cpu/kernels/attention/kv_append.hpp"
#include "backends/cpu/kernels/ops/portable_simd.hpp"
#include "backends/cpu/kernels/ops/rotate.hpp"

namespace tessera::cpu {

// A head fits the stack; kv_append refuses larger ones.
constexpr int64_t kMaxAppendHeadDim = 4096;

template <typename V>
class KvAppender {
 public:
  using F = typename V::F;

  static void run(const KvAppend& op, int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t) {
      if (op.slot_mapping[t] >= 0) append(op, t);
    }
  }

 private:
  // Where one head of one token goes.
  struct Place {
    std::byte* codes;
    float* scale;      // I8_TOKEN only
    const float* inv;  // static formats only: head_dim of them, or one
  };

  static void append(const KvAppend& op, int64_t t) {
    const KvLayout& kv = op.kv;
    const int64_t slot = op.slot_mapping[t] % kv.block_size;
    std::byte* block =
        op.pool + op.slot_mapping[t] / kv.block_size * kv.block_bytes;
    const bool rotate = op.style != TSR_ROPE_NONE;
    const float* angles =
        rotate ? op.table + op.positions[t] * op.rotary_dim : nullptr;
    float head[kMaxAppendHeadDim];
    const SimdRowOut<V> out(head, TSR_F32);
    for (int64_t h = 0; h < kv.num_kv_heads; ++h) {
      const int64_t row = h * kv.block_size + slot;
      std::byte* codes = block + row * kv.row_bytes;
      auto* k_scales = reinterpret_cast<float*>(block + kv.k_scale_offset);
      auto* v_scales = reinterpret_cast<float*>(block + kv.v_scale_offset);

      rotate_head<V>(SimdRow<V>(op.k, t).at(h * kv.head_dim), out, angles,
                     {kv.head_dim, rotate ? op.rotary_dim : 0, op.style});
      store(kv, head, {codes, k_scales + row, inverse(op, h)});
      rotate_head<V>(SimdRow<V>(op.v, t).at(h * kv.head_dim), out, nullptr,
                     {kv.head_dim, 0, TSR_ROPE_NONE});
      store(kv, head,
            {codes + kv.v_offset, v_scales + row,
             inverse(op, kv.num_kv_heads + h)});
    }
  }

  // `part` counts the heads of K, then those of V.
  static const float* inverse(const KvAppend& op, int64_t part) {
    if (op.kv.format == TSR_KV_I8_CHANNEL) {
      return op.kv_inv + part * op.kv.head_dim;
    }
    return op.kv.format == TSR_KV_I8_HEAD ? op.kv_inv + part : nullptr;
  }

  template <typename Body>
  static void for_vectors(int64_t n, const Body& body) {
    for (int64_t i = 0; i < n; i += V::kLanes) {
      body(i, static_cast<int>(n - i < V::kLanes ? n - i : V::kLanes));
    }
  }

  static F load(const float* x, int64_t d, int n) {
    return V::template load_n<TSR_F32>(x, d, n);
  }

  static void store(const KvLayout& kv, const float* x, const Place& place) {
    switch (kv.format) {
      case TSR_KV_I8_TOKEN:
        return store_token(kv.head_dim, x, place);
      case TSR_KV_I8_CHANNEL:
        for_vectors(kv.head_dim, [&](int64_t d, int n) {
          store_codes(place, d, n, load(x, d, n), load(place.inv, d, n));
        });
        return;
      case TSR_KV_I8_HEAD:
        for_vectors(kv.head_dim, [&](int64_t d, int n) {
          store_codes(place, d, n, load(x, d, n), V::set1(*place.inv));
        });
        return;
      default:
        for_vectors(kv.head_dim, [&](int64_t d, int n) {
          SimdRowOut<V>(place.codes, kv.dtype).store(d, n, load(x, d, n));
        });
    }
  }

  // clamp(rne(RN(x * inv)), -127, 127).
  static void store_codes(const Place& place, int64_t d, int n, F x, F inv) {
    const F limit = V::set1(127.0f);
    const F q = V::min(V::max(V::mul(x, inv), V::set1(-127.0f)), limit);
    V::template store_n<TSR_I8>(place.codes, d, q, n);
  }

  static void store_token(int64_t head_dim, const float* x,
                          const Place& place) {
    F largest = V::zero();
    F poison = V::zero();  // NaN once an element is not finite
    for_vectors(head_dim, [&](int64_t d, int n) {
      const F value = load(x, d, n);
      largest = V::max(Portable<V>::abs(value), largest);
      poison = V::add(poison, V::sub(value, value));
    });
    const float amax = V::max_lane(largest);
    const float bad = V::sum(poison);
    const bool finite = bad == 0.0f;
    const bool tiny = amax < 0x1p-100f;
    const float inv = finite && !tiny ? 127.0f / amax : 0.0f;
    *place.scale = tiny && finite ? 0.0f : amax * (1.0f / 127.0f) + bad;
    for_vectors(head_dim, [&](int64_t d, int n) {
      const F value = finite ? load(x, d, n) : V::zero();
      store_codes(place, d, n, value, V::set1(inv));
    });
  }
};

}  // namespace tessera::cpu
