// SPDX-License-Identifier: Apache-2.0
//
// Rows of a float tensor in memory, read and written as f32.

#pragma once

#include <cstdint>
#include <cstring>

#include "backends/npu_sim/function/half.hpp"
#include "tessera/types.h"

namespace tessera::npu {

// Row r starts at element r * stride.
struct ConstRows {
  const void* data = nullptr;
  uint32_t dtype = TSR_F32;  // F32, F16 or BF16
  int64_t stride = 0;
};
struct Rows {
  void* data = nullptr;
  uint32_t dtype = TSR_F32;  // I32 too, for raw accumulators
  int64_t stride = 0;
};

// out_values[i] = element first + i of row r.
inline void load_row(const ConstRows& rows, int64_t r, int64_t first,
                     int64_t count, float* out_values) {
  const int64_t at = r * rows.stride + first;
  if (rows.dtype == TSR_F32) {
    std::memcpy(out_values, static_cast<const float*>(rows.data) + at,
                static_cast<size_t>(count) * sizeof(float));
    return;
  }
  const uint16_t* half = static_cast<const uint16_t*>(rows.data) + at;
  if (rows.dtype == TSR_F16) {
    for (int64_t i = 0; i < count; ++i) out_values[i] = f32_from_f16(half[i]);
  } else {
    for (int64_t i = 0; i < count; ++i) out_values[i] = f32_from_bf16(half[i]);
  }
}

// Rounds to nearest even.
inline void store_row(const Rows& rows, int64_t r, int64_t first, int64_t count,
                      const float* values) {
  const int64_t at = r * rows.stride + first;
  if (rows.dtype == TSR_F32) {
    std::memcpy(static_cast<float*>(rows.data) + at, values,
                static_cast<size_t>(count) * sizeof(float));
    return;
  }
  uint16_t* half = static_cast<uint16_t*>(rows.data) + at;
  if (rows.dtype == TSR_F16) {
    for (int64_t i = 0; i < count; ++i) half[i] = f16_from_f32(values[i]);
  } else {
    for (int64_t i = 0; i < count; ++i) half[i] = bf16_from_f32(values[i]);
  }
}

}  // namespace tessera::npu
