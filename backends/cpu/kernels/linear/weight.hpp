// SPDX-License-Identifier: Apache-2.0
//
// A weight as the linear kernels read it: which layout its bytes take here, how
// they get there, and where everything lies.

#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "backends/cpu/kernels/linear/tile_format.hpp"
#include "tessera/types.h"

namespace tessera::cpu {

// Rows of W that a packed tile holds side by side, on every ISA.
inline constexpr int64_t kTileCols = 16;

// How a weight lies in memory.  Ids and kLayoutVersion go into pack caches:
// the same for all ISAs, never reused for other bytes.
//
//   kRaw      the planes of types.h, used in place
//   kI8Tiles  codes     s8 [N / 16][K / 4][16 rows][4 columns], K padded with
//                       zeros to a multiple of 64
//             sums      i32 [N / 16][groups][16], of the codes of a group
//             scales    f32 [N / 16][groups][16]
//             zeros     f32, the same shape, only with a ZERO_POINT plane
//             scale2    f32 [N / 16][16], only with a SCALE2 plane
//             Of I8 and U8 (code - 128).
//   kU4Tiles  codes     [N / 16][K / 8][16 rows][4 bytes], byte b holds column
//                       b in its low nibble and b + 4 in its high one; K padded
//                       to a multiple of 8
//             then as above, without sums.  Of U4 and I4 (code + 8).
//   kFormatTiles          as the row of kTileFormats says, for each tile of 16
//                         rows; K padded to a multiple of 32
//             codes       nibbles and bytes as above; BF16 [K / 2][16 rows][2]
//             high        u32 [K / 32 or K / 16][16], tile_format.hpp
//             scales      see Scales
//             mins        f16 [groups][16]
//             scale2      as above
//   kSparseTiles  codes     nibbles as in kU4Tiles, K padded to a multiple of
//   64
//                 books     s8 [N / 256][K / 128][16], what nibbles stand for
//                 escapes   s8, in place of nibbles 15: of one tile after
//                           another, in the order of kI8Tiles' codes
//                 starts    i64 [N / 16], each tile's first escape
//                 sums, scales as in kI8Tiles.  Of SPARSE_FIXED.
//
// Sections follow each other, each at a multiple of 64 bytes; N is rounded up
// to tiles, whose missing rows are zero.  W = scale * (code - zero) * scale2;
// zero is 0 in kI8Tiles and 8 in kU4Tiles where there is no section.
enum class Layout : uint64_t {
  kRaw = 0,
  kI8Tiles = 1,
  kU4Tiles = 2,
  kFormatTiles = 3,
  kSparseTiles = 4,
};
inline constexpr uint32_t kLayoutVersion = 1;
inline constexpr uint32_t kPackedAlignment = 64;

// What follows from a weight's format and shapes alone.
struct WeightShape {
  uint32_t format = 0;  // TSR_WEIGHT_*
  Layout layout = Layout::kRaw;
  int64_t N = 0;
  int64_t K = 0;
  int64_t group_size = 0;  // K if a row has one scale, or none
  int64_t num_groups = 1;
  bool has_zeros = false;
  bool has_scale2 = false;
  // Of the packed form; 0 for kRaw.
  int tile_format = kNumTileFormats;  // row of kTileFormats
  int64_t padded_K = 0;
  int64_t tile_bytes = 0;        // codes of one tile
  int64_t high_tile_bytes = 0;   // likewise
  int64_t scale_tile_bytes = 0;  // likewise
  size_t high_offset = 0;
  size_t books_offset = 0;
  size_t escapes_offset = 0;
  size_t starts_offset = 0;
  size_t sums_offset = 0;
  size_t scales_offset = 0;
  size_t mins_offset = 0;
  size_t zeros_offset = 0;
  size_t scale2_offset = 0;
  size_t packed_bytes = 0;
  int64_t num_escapes = 0;  // room for so many

  int64_t num_tiles() const { return (N + kTileCols - 1) / kTileCols; }
};

// The layout that a weight takes here.  Planes need no data.
//
// Errors  throws Error: INVALID_ARGUMENT if a plane is missing, or its type or
//         shape is not what types.h says; UNIMPLEMENTED for a format that is
//         not read here
WeightShape weight_shape(const tsr_weight_desc& desc);

// Packs rows n_begin .. n_end - 1 of a weight of `shape` from the planes of
// `slice`, whose data start at row n_begin (SPARSE_FIXED: all rows at once).
// Writes only those rows' bytes of `packed`, padding included, so disjoint
// slices may run at once.
//
// Requires  shape.layout != kRaw; n_begin and n_end multiples of kTileCols, or
//           n_end == N
// Errors    throws Error INVALID_ARGUMENT if the slice does not fit the shape,
//           or a SPARSE tile is damaged
void pack_rows(const WeightShape& shape, const tsr_weight_desc& slice,
               int64_t n_begin, int64_t n_end, void* packed);

// Static activations: numerics.md section 1.
struct StaticActivation {
  float scale = 0.0f;
  float inv = 0.0f;
  int32_t zero_point = 0;
};

// A weight ready for kernels.  Borrows the packed bytes, or for kRaw the data
// of the planes; owns copies of the small planes.
struct LinearWeight {
  WeightShape shape;

  // Packed sections; null where the layout has none.
  const std::byte* codes = nullptr;
  const std::byte* high = nullptr;
  const std::byte* books = nullptr;
  const std::byte* escapes = nullptr;
  const int64_t* starts = nullptr;
  const int32_t* sums = nullptr;
  const std::byte* scale_codes = nullptr;
  const float* scales = nullptr;  // the same, of Scales::kF32
  const std::byte* mins = nullptr;
  const float* zeros = nullptr;
  const float* scale2 = nullptr;

  // Planes of a kRaw weight; role 0 where there is none.
  tsr_plane raw_codes{};
  tsr_plane raw_scale{};
  tsr_plane raw_scale2{};
  tsr_plane raw_zero_point{};
  tsr_plane raw_min{};

  std::vector<int32_t> permutation;     // [K] or empty, like the next two
  std::vector<float> input_multiplier;  // [K]
  std::vector<int32_t> quant_bias;      // [N]
  std::optional<StaticActivation> static_activation;

  // True for F32 and F16, if the elements are aligned to their size.
  bool has_dense_rows() const;
};

// Opens a weight over `packed` bytes that pack_rows filled, or, for kRaw
// (packed is ignored), over the planes' data.
//
// Errors  those of weight_shape; INVALID_ARGUMENT if a plane that is needed has
//         no data, a permutation names a feature outside K, or a static scale
//         or zero point makes no sense
LinearWeight open_weight(const tsr_weight_desc& desc, const void* packed);

}  // namespace tessera::cpu
