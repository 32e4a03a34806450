// SPDX-License-Identifier: Apache-2.0
//
// tessera/packing/weight_shape.hpp - the packed form of a weight for kernels
// that work on tiles of rows, as OpenCL's and Vulkan's do.

#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "tessera/packing/gguf_block.hpp"
#include "tessera/packing/plane_check.hpp"
#include "tessera/packing/plane_data.hpp"
#include "tessera/packing/sparse_tile.hpp"
#include "tessera/plugin.h"

namespace tessera::sdk::packing {

// How a code lies in a tile; kernels have the same numbers.
enum class Code : uint32_t {
  kF32 = 0,
  kF16 = 1,
  kBf16 = 2,
  kS8 = 3,
  kU4 = 4,
  kE4m3 = 5,
  kE5m2 = 6,
  kE2m1 = 7,
  kBook = 8,  // nibbles that stand for entries of a book
};

// How a backend's kernels want codes to lie.  Every number is a power of two.
struct TileLayout {
  uint32_t rows;  // of W, that a tile holds side by side
  // Consecutive columns of a row that lie together, and of one with short
  // groups of nibbles, which would leave half of a large chunk empty.  0: one
  // code, or a byte of nibbles.
  uint32_t chunk_bytes;
  uint32_t short_chunk_bytes;
  // Columns between the low and the high nibble of a byte.
  uint32_t nibble_step;
  // True if tiles of SPARSE_FIXED stay compressed; else they become s8.  `rows`
  // divides 256 then.
  bool keeps_books = false;
};

// One part of the packed form: its tiles, one after the other.
struct Section {
  uint64_t begin;
  uint64_t tile_bytes;
};

// What follows from a weight's format and shapes alone.  Sections of the packed
// form follow each other, each at a multiple of 128 bytes; N is rounded up to
// tiles of R = layout.rows, whose missing rows are zero:
//
//   codes   [N / R][chunks][R][chunk_values]; a group starts at a chunk.  Of
//           4-bit codes, byte i of 2 * step columns has column i low and
//           column i + step high
//   scales  f32 or f16 [N / R][groups][R]
//   zeros   f32, the same shape; only with a ZERO_POINT plane
//   mins    f32, the same shape; only of GGUF blocks that have them
//   scale2  f32 [N / R][R]; only with a SCALE2 plane
//   books   i8 [N / 256][columns / 128][16]; this and the next two only of
//   kBook starts  u32 [N / R][groups][R] and one more: where the escapes of a
//   row's
//           part of a group begin, and where the last ones end
//   escapes u16 [max_escapes + 1]; low byte: columns since the one before, or
//           since the group's first; high byte: the s8 code, which is added to
//           what the book says there, 0.  Where the next one is farther than
//           255 columns, codes of 0 stand between
//
// A weight is scale * (code - zero) * scale2 + min, where codes of 4 bits have
// code_zero subtracted first.
struct WeightShape {
  TileLayout layout{};
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
  uint32_t chunk_values = 1;  // columns
  uint32_t padded_group = 0;  // columns
  uint64_t tile_bytes = 0;    // codes of one tile
  uint64_t scales_offset = 0;
  uint64_t zeros_offset = 0;
  uint64_t mins_offset = 0;
  uint64_t scale2_offset = 0;
  uint64_t books_offset = 0;
  uint64_t starts_offset = 0;
  uint64_t escapes_offset = 0;
  uint64_t max_escapes = 0;
  uint64_t packed_bytes = 0;

  uint32_t num_tiles() const { return (N + layout.rows - 1) / layout.rows; }
  uint64_t columns() const { return uint64_t{num_groups} * padded_group; }
  bool is_nibble() const {
    return code == Code::kU4 || code == Code::kE2m1 || code == Code::kBook;
  }
  uint32_t code_bits() const {
    if (code == Code::kF32) return 32;
    if (code == Code::kF16 || code == Code::kBf16) return 16;
    return is_nibble() ? 4 : 8;
  }
  // Of a section of one value per group, the index of row n's.
  uint64_t group_index(uint32_t n, uint32_t g) const {
    return (uint64_t{n / layout.rows} * num_groups + g) * layout.rows +
           n % layout.rows;
  }
  uint64_t num_books() const {
    return (uint64_t{N} + 255) / 256 * ((columns() + 127) / 128);
  }
  // The sections that are cut into tiles.
  std::vector<Section> sections() const {
    const uint64_t per_tile = uint64_t{num_groups} * layout.rows;
    std::vector<Section> all = {{0, tile_bytes}};
    const auto add = [&all](bool present, uint64_t begin, uint64_t bytes) {
      if (present) all.push_back({begin, bytes});
    };
    add(scale_bits != 0, scales_offset, per_tile * scale_bits / 8);
    add(has_zeros, zeros_offset, per_tile * 4);
    add(has_mins, mins_offset, per_tile * 4);
    add(has_scale2, scale2_offset, uint64_t{layout.rows} * 4);
    return all;
  }
  // True if products with integers are exact: I8, U8, I4, U4 and SPARSE.
  bool has_integers() const {
    return format == TSR_WEIGHT_I8 || format == TSR_WEIGHT_U8 ||
           format == TSR_WEIGHT_I4 || format == TSR_WEIGHT_U4 ||
           format == TSR_WEIGHT_SPARSE_FIXED;
  }
  // One scale per row and no second level: the first formula of numerics.md
  // section 1.
  bool is_per_channel() const { return num_groups == 1 && !has_scale2; }
  // No |code - zero| is larger.
  int64_t max_integer() const {
    if (has_zeros) return 255;
    return code == Code::kU4 ? 8 : 128;
  }
};

namespace detail {

inline uint64_t align128(uint64_t bytes) { return (bytes + 127) / 128 * 128; }

inline Code code_of(uint32_t format) {
  switch (format) {
    case TSR_WEIGHT_F32:
      return Code::kF32;
    case TSR_WEIGHT_F16:
      return Code::kF16;
    case TSR_WEIGHT_BF16:
      return Code::kBf16;
    case TSR_WEIGHT_I4:
    case TSR_WEIGHT_U4:
      return Code::kU4;
    case TSR_WEIGHT_F8E4M3:
      return Code::kE4m3;
    case TSR_WEIGHT_F8E5M2:
      return Code::kE5m2;
    case TSR_WEIGHT_F4E2M1:
    case TSR_WEIGHT_MXFP4:
    case TSR_WEIGHT_NVFP4:
      return Code::kE2m1;
    default:
      return Code::kS8;
  }
}

inline void read_gguf(const GgufBlock& block, WeightShape& shape) {
  shape.code = block.is_nibble ? Code::kU4 : Code::kS8;
  shape.code_zero = static_cast<uint32_t>(block.code_zero);
  shape.group_size = block.group;
  shape.has_mins = block.has_min;
  // Scales of blocks of 32 are f16 as they stand; the others are products.
  shape.scale_bits = block.values == 32 && !block.has_min ? 16 : 32;
}

inline void read_scaled(const tsr_weight_desc& desc, WeightShape& shape) {
  shape.code = code_of(desc.format);
  const tsr_plane scale = find_plane(desc, TSR_PLANE_SCALE);
  shape.has_zeros = exists(find_plane(desc, TSR_PLANE_ZERO_POINT));
  shape.has_scale2 = exists(find_plane(desc, TSR_PLANE_SCALE2));
  if (shape.code == Code::kU4 && !shape.has_zeros) shape.code_zero = 8;
  if (!exists(scale)) return;
  shape.scale_bits = scale.dtype == TSR_F16 ? 16 : 32;
  if (scale.cols > 1) shape.group_size = scale.block_k;
}

// Columns from one escape to the next, at most.
inline constexpr uint32_t kFarthestEscape = 255;

// As many escapes as the bytes of the tiles leave room for, and what may have
// to stand between them.
inline void keep_books(const tsr_weight_desc& desc, WeightShape& shape) {
  shape.code = Code::kBook;
  const uint64_t tiles =
      ceil_div(desc.N, kSparseRows) * ceil_div(desc.K, kSparseCols);
  const uint64_t last = desc.K % kSparseCols;
  const uint64_t nibbles = (desc.K - last) / 2 + ceil_div(last, 2);
  const uint64_t heads = tiles * kBookBytes + desc.N * nibbles;
  const uint64_t bytes = find_plane(desc, TSR_PLANE_CODES).cols;
  const uint64_t between =
      (std::min(shape.group_size, desc.K) - 1) / kFarthestEscape;
  const uint64_t escapes =
      (bytes > heads ? bytes - heads : 0) +
      desc.N * ceil_div(desc.K, shape.group_size) * between;
  shape.max_escapes = std::min<uint64_t>(escapes, UINT32_MAX - 1);
}

// Where the sections lie follows from N alone.
inline void place_tiles(WeightShape& shape) {
  uint64_t end = shape.num_tiles() * shape.tile_bytes;
  const auto place = [&end](bool present, uint64_t bytes) {
    const uint64_t begin = end;
    if (present) end += align128(bytes);
    return begin;
  };
  const uint64_t rows = uint64_t{shape.num_tiles()} * shape.layout.rows;
  const uint64_t blocked = rows * shape.num_groups;
  shape.scales_offset =
      place(shape.scale_bits != 0, blocked * shape.scale_bits / 8);
  shape.zeros_offset = place(shape.has_zeros, blocked * 4);
  shape.mins_offset = place(shape.has_mins, blocked * 4);
  shape.scale2_offset = place(shape.has_scale2, rows * 4);
  const bool has_books = shape.code == Code::kBook;
  shape.books_offset = place(has_books, shape.num_books() * kBookBytes);
  shape.starts_offset = place(has_books, (blocked + 1) * 4);
  shape.escapes_offset = place(has_books, (shape.max_escapes + 1) * 2);
  shape.packed_bytes = end;
}

inline void place_sections(WeightShape& shape) {
  shape.num_groups = (shape.K + shape.group_size - 1) / shape.group_size;
  const bool is_short = shape.is_nibble() && shape.group_size <= 16;
  const uint32_t chunk_bytes =
      is_short ? shape.layout.short_chunk_bytes : shape.layout.chunk_bytes;
  const uint32_t chunk = std::max(chunk_bytes * 8 / shape.code_bits(),
                                  shape.is_nibble() ? 2U : 1U);
  shape.chunk_values = chunk;
  shape.padded_group = (shape.group_size + chunk - 1) / chunk * chunk;
  shape.tile_bytes =
      align128(shape.columns() * shape.layout.rows * shape.code_bits() / 8);

  place_tiles(shape);
}

}  // namespace detail

// The packed form that `rows` rows of the weight would have by themselves.
inline WeightShape shape_of_rows(WeightShape shape, uint32_t rows) {
  shape.N = rows;
  detail::place_tiles(shape);
  return shape;
}

// Planes need no data.
//
// Errors  throws as check_planes
inline WeightShape weight_shape(const tsr_weight_desc& desc,
                                const TileLayout& layout) {
  check_planes(desc);
  WeightShape shape;
  shape.layout = layout;
  shape.format = desc.format;
  shape.N = desc.N;
  shape.K = desc.K;
  shape.group_size = desc.K;
  if (const GgufBlock* block = find_gguf_block(desc.format)) {
    detail::read_gguf(*block, shape);
  } else {
    detail::read_scaled(desc, shape);
  }
  // A chunk of codes must have one book.
  const bool one_book =
      shape.group_size >= desc.K || shape.group_size % detail::kSparseCols == 0;
  if (desc.format == TSR_WEIGHT_SPARSE_FIXED && layout.keeps_books &&
      one_book) {
    detail::keep_books(desc, shape);
  }
  detail::place_sections(shape);
  return shape;
}

// What a packing transaction must know.  `layout_version` goes into pack
// caches: never reused for other bytes.
inline tsr_packed_info packed_info(const WeightShape& shape,
                                   uint32_t layout_version) {
  tsr_packed_info info{};
  info.struct_size = sizeof(info);
  info.bytes = shape.packed_bytes;
  info.layout = 1;
  info.layout_version = layout_version;
  info.alignment = 128;
  // The tiles of a SPARSE weight are read together.
  const bool sparse = shape.format == TSR_WEIGHT_SPARSE_FIXED;
  info.n_multiple = sparse ? shape.N : shape.layout.rows;
  return info;
}

}  // namespace tessera::sdk::packing
