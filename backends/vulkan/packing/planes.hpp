// SPDX-License-Identifier: Apache-2.0
//
// The planes of a weight descriptor, found by role, checked and read.

#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "tessera/types.h"

namespace tessera::vulkan {

// The plane of that role; role 0 if there is none.
tsr_plane find_plane(const tsr_weight_desc& desc, uint32_t role);

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
float element_f32(uint32_t dtype, const std::byte* row, uint64_t index);

// The element of a blocked plane that serves W[n, k].
inline float block_f32(const tsr_plane& plane, uint64_t n, uint64_t k) {
  return element_f32(plane.dtype, plane_row(plane, n / plane.block_n),
                     k / plane.block_k);
}

// Throws sdk::Error: INVALID_ARGUMENT if a plane is missing or has a type or
// shape that types.h does not allow for desc.format, N and K; UNIMPLEMENTED for
// a format that is not read here or an extension that must be understood.
void check_planes(const tsr_weight_desc& desc);
// The same for a slice of rows: planes of the whole weight are not looked at.
void check_slice(const tsr_weight_desc& slice);

}  // namespace tessera::vulkan
