// SPDX-License-Identifier: Apache-2.0
//
// The planes of a weight descriptor, found by role and checked.

#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "tessera/types.h"

namespace tessera::cpu {

// The plane of that role; role 0 if there is none.
tsr_plane find_plane(const tsr_weight_desc& desc, uint32_t role);

inline bool exists(const tsr_plane& plane) { return plane.role != 0; }

inline const std::byte* plane_row(const tsr_plane& plane, int64_t row) {
  return static_cast<const std::byte*>(plane.data) +
         static_cast<uint64_t>(row) * plane.row_bytes;
}

// A T at byte offset index * sizeof(T), which need not be aligned.
template <typename T>
T load_as(const std::byte* row, int64_t index) {
  T value;
  std::memcpy(&value, row + static_cast<size_t>(index) * sizeof(T), sizeof(T));
  return value;
}

// Element `index` of a row of F32, F16, BF16, U8, I8, I4, U4, F8*, F4E2M1 or
// E8M0 as a number, exactly.
float element_f32(uint32_t dtype, const std::byte* row, int64_t index);

// The element of a blocked plane that serves W[n, k].
inline float block_f32(const tsr_plane& plane, int64_t n, int64_t k) {
  return element_f32(plane.dtype, plane_row(plane, n / plane.block_n),
                     k / plane.block_k);
}

// A GGUF block format: `values` consecutive weights in `bytes` bytes.
struct GgufBlock {
  uint32_t format;
  int64_t values;
  int64_t bytes;
};

// Null if `format` is not one.
const GgufBlock* find_gguf_block(uint32_t format);

// Throws Error INVALID_ARGUMENT if a plane is missing or has a type or shape
// that types.h does not allow for desc.format, N and K; UNIMPLEMENTED for a
// format that is not read here or an extension that must be understood.
void check_planes(const tsr_weight_desc& desc);

}  // namespace tessera::cpu
