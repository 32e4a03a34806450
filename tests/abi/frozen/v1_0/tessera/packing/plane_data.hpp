// SPDX-License-Identifier: Apache-2.0
//
// tessera/packing/plane_data.hpp - the planes of a weight descriptor, found by
// role and read.

#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "tessera/packing/small_float.hpp"
#include "tessera/record.hpp"
#include "tessera/types.h"

namespace tessera::sdk::packing {

// The plane of that role; role 0 if there is none.
inline tsr_plane find_plane(const tsr_weight_desc& desc, uint32_t role) {
  const sdk::Elements<tsr_plane> planes(desc.planes);
  for (uint32_t i = 0; i < planes.size(); ++i) {
    const tsr_plane plane = planes[i];
    if (plane.role == role) return plane;
  }
  return {};
}

inline bool exists(const tsr_plane& plane) { return plane.role != 0; }

inline const std::byte* plane_row(const tsr_plane& plane, uint64_t row) {
  return static_cast<const std::byte*>(plane.data) + row * plane.row_bytes;
}

// A T at byte offset index * sizeof(T), which need not be aligned.
template <typename T>
T load_as(const std::byte* row, uint64_t index) {
  T value;
  std::memcpy(&value, row + index * sizeof(T), sizeof(T));
  return value;
}

inline uint32_t nibble_at(const std::byte* row, uint64_t index) {
  const auto pair = std::to_integer<uint32_t>(row[index / 2]);
  return index % 2 == 0 ? pair & 15U : pair >> 4;
}

// Element `index` of a row of a scale-like plane (F32, F16, BF16, U8, I8,
// F8E4M3 or E8M0) as a number, exactly.
inline float element_f32(uint32_t dtype, const std::byte* row, uint64_t index) {
  switch (dtype) {
    case TSR_F32:
      return load_as<float>(row, index);
    case TSR_F16:
      return f32_from_f16(load_as<uint16_t>(row, index));
    case TSR_BF16:
      return f32_from_bf16(load_as<uint16_t>(row, index));
    case TSR_I8:
      return static_cast<float>(load_as<int8_t>(row, index));
    case TSR_F8E4M3:
      return f32_from_f8e4m3(load_as<uint8_t>(row, index));
    case TSR_E8M0:
      return f32_from_e8m0(load_as<uint8_t>(row, index));
    default:
      return static_cast<float>(load_as<uint8_t>(row, index));
  }
}

// The element of a blocked plane that serves W[n, k].
inline float block_f32(const tsr_plane& plane, uint64_t n, uint64_t k) {
  return element_f32(plane.dtype, plane_row(plane, n / plane.block_n),
                     k / plane.block_k);
}

}  // namespace tessera::sdk::packing
