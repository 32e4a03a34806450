// SPDX-License-Identifier: Apache-2.0
//
// A row whose type is known only at run time, read and written as f32 vectors.
// The branch on the type is the same for the whole row, so it costs little.

#pragma once

#include <stdint.h>

#include "backends/cpu/kernels/ops/convert.hpp"
#include "backends/cpu/kernels/ops/ops.hpp"

namespace tessera::cpu {

[[maybe_unused]] static constexpr int64_t dtype_bytes(uint32_t dtype) {
  return dtype == TSR_F32 ? 4 : 2;
}

template <typename V>
class SimdRow {
 public:
  using F = typename V::F;

  SimdRow(const void* data, uint32_t dtype) : data_(data), dtype_(dtype) {}
  explicit SimdRow(const ConstVector& v) : SimdRow(v.data, v.dtype) {}
  SimdRow(const ConstRows& rows, int64_t r)
      : SimdRow(rows.data, rows.dtype, r * rows.row_stride) {}

  // The row that starts at element i.
  SimdRow at(int64_t i) const { return SimdRow(data_, dtype_, i); }

  // Elements i .. i + n - 1, 1 <= n <= 16; the other lanes are +0.
  F load(int64_t i, int n) const {
    if (dtype_ == TSR_F32) return load_as<TSR_F32>(i, n);
    if (dtype_ == TSR_F16) return load_as<TSR_F16>(i, n);
    return load_as<TSR_BF16>(i, n);
  }
  float load_one(int64_t i) const {
    if (dtype_ == TSR_F32) return static_cast<const float*>(data_)[i];
    const uint16_t half = static_cast<const uint16_t*>(data_)[i];
    return dtype_ == TSR_F16 ? f32_from_f16(half) : f32_from_bf16(half);
  }

 private:
  SimdRow(const void* data, uint32_t dtype, int64_t offset)
      : data_(static_cast<const char*>(data) + offset * dtype_bytes(dtype)),
        dtype_(dtype) {}

  template <uint32_t kDtype>
  F load_as(int64_t i, int n) const {
    return n == V::kLanes ? V::template load<kDtype>(data_, i)
                          : V::template load_n<kDtype>(data_, i, n);
  }

  const void* data_;
  uint32_t dtype_;
};

template <typename V>
class SimdRowOut {
 public:
  using F = typename V::F;

  SimdRowOut(void* data, uint32_t dtype) : data_(data), dtype_(dtype) {}
  SimdRowOut(const Rows& rows, int64_t r)
      : SimdRowOut(rows.data, rows.dtype, r * rows.row_stride) {}

  SimdRowOut at(int64_t i) const { return SimdRowOut(data_, dtype_, i); }

  void store(int64_t i, int n, F x) const {
    if (dtype_ == TSR_F32) return store_as<TSR_F32>(i, n, x);
    if (dtype_ == TSR_F16) return store_as<TSR_F16>(i, n, x);
    return store_as<TSR_BF16>(i, n, x);
  }
  void store_one(int64_t i, float x) const {
    if (dtype_ == TSR_F32) {
      static_cast<float*>(data_)[i] = x;
    } else {
      static_cast<uint16_t*>(data_)[i] =
          dtype_ == TSR_F16 ? f16_from_f32(x) : bf16_from_f32(x);
    }
  }

 private:
  SimdRowOut(void* data, uint32_t dtype, int64_t offset)
      : data_(static_cast<char*>(data) + offset * dtype_bytes(dtype)),
        dtype_(dtype) {}

  template <uint32_t kDtype>
  void store_as(int64_t i, int n, F x) const {
    if (n == V::kLanes) {
      V::template store<kDtype>(data_, i, x);
    } else {
      V::template store_n<kDtype>(data_, i, x, n);
    }
  }

  void* data_;
  uint32_t dtype_;
};

// x with lanes n .. 15 replaced by those of `rest`.
template <typename V>
typename V::F first_lanes(typename V::F x, int n,
                          typename V::F rest = V::zero()) {
  if (n == V::kLanes) return x;
  float lanes[V::kLanes];
  V::template store<TSR_F32>(lanes, 0, rest);
  V::template store_n<TSR_F32>(lanes, 0, x, n);
  return V::template load<TSR_F32>(lanes, 0);
}

}  // namespace tessera::cpu
