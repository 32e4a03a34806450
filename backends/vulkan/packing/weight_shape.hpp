// SPDX-License-Identifier: Apache-2.0
//
// The packed form of a weight, as the linear kernels read it.

#pragma once

#include <cstdint>
#include <vector>

#include "tessera/types.h"

namespace tessera::vulkan {

// Rows of W that a packed tile holds side by side.
inline constexpr uint32_t kTileRows = 64;
// Goes into pack caches: never reused for other bytes.
inline constexpr uint32_t kLayoutVersion = 1;

// How a code lies in a tile; shaders/linear_codes.glsl has the same.
enum class Code : uint32_t {
  kF32 = 0,
  kF16 = 1,
  kBf16 = 2,
  kS8 = 3,
  kU4 = 4,
  kE4m3 = 5,
  kE5m2 = 6,
  kE2m1 = 7,
};

// What follows from a weight's format and shapes alone.  Sections of the packed
// form follow each other, each at a multiple of 128 bytes; N is rounded up to
// tiles, whose missing rows are zero:
//
//   codes   [N / 64][chunks][64][chunk_words words]: consecutive columns of a
//           row; a group starts at a chunk.  The nibbles of a word: byte i has
//           column i low and column i + 4 high
//   scales  f32 or f16 [N / 64][groups][64]
//   zeros   f32, the same shape; only with a ZERO_POINT plane
//   mins    f32, the same shape; only of GGUF blocks that have them
//   scale2  f32 [N rounded up]; only with a SCALE2 plane
//
// A weight is scale * (code - zero) * scale2 + min, where codes of 4 bits have
// code_zero subtracted first.
struct WeightShape {
  uint32_t format = 0;  // TSR_WEIGHT_*
  uint32_t N = 0;       // NOLINT(*-naming): as in the formula
  uint32_t K = 0;       // NOLINT(*-naming)
  Code code = Code::kF32;
  uint32_t code_zero = 0;
  uint32_t scale_bits = 0;  // 0: no scales
  bool has_zeros = false;
  bool has_mins = false;
  bool has_scale2 = false;
  uint32_t group_size = 0;  // K if a row has one scale, or none
  uint32_t num_groups = 1;
  uint32_t chunk_words = 4;
  uint32_t padded_group = 0;  // columns
  uint64_t tile_bytes = 0;    // codes of one tile
  uint64_t scales_offset = 0;
  uint64_t zeros_offset = 0;
  uint64_t mins_offset = 0;
  uint64_t scale2_offset = 0;
  uint64_t packed_bytes = 0;

  uint32_t num_tiles() const { return (N + kTileRows - 1) / kTileRows; }
  bool is_nibble() const { return code == Code::kU4 || code == Code::kE2m1; }
  uint32_t chunk_values() const;
  uint32_t columns() const { return num_groups * padded_group; }
  // True if products with integers are exact: I8, U8, I4, U4 and SPARSE.
  bool has_integers() const;
  // One scale per row and no second level: the first formula of numerics.md
  // section 1.
  bool is_per_channel() const { return num_groups == 1 && !has_scale2; }
  // No |code - zero| is larger.
  int64_t max_integer() const;
};

// Planes need no data.
//
// Errors  throws as check_planes
WeightShape weight_shape(const tsr_weight_desc& desc);

// The constants of shaders/linear.comp but the last, its rows.
std::vector<uint32_t> linear_constants(const WeightShape& shape,
                                       bool is_integer);

// Packs rows n_begin .. n_end - 1 of a weight of `shape` from the planes of
// `slice`, whose data start at row n_begin (SPARSE_FIXED: all rows at once).
// Writes only those rows' tiles, so disjoint slices may run at once.
//
// Requires  n_begin and n_end multiples of kTileRows, or n_end == N
// Errors    throws Error INVALID_ARGUMENT if the slice does not fit the shape,
//           or a SPARSE tile is damaged
void pack_rows(const WeightShape& shape, const tsr_weight_desc& slice,
               uint32_t n_begin, uint32_t n_end, char* packed);

}  // namespace tessera::vulkan
