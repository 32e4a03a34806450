// SPDX-License-Identifier: Apache-2.0
//
// Planes into tiles.

#include <algorithm>
#include <cstring>
#include <string>

#include "backends/cpu/kernels/linear/format_pack.hpp"
#include "backends/cpu/kernels/linear/sparse/sparse_pack.hpp"
#include "backends/cpu/kernels/linear/weight.hpp"
#include "backends/cpu/kernels/linear/weight_planes.hpp"
#include "tessera/error.hpp"

namespace tessera::cpu {
namespace {

// What one slice is packed from and into.
struct Packing {
  const WeightShape& shape;
  int64_t n_begin;
  int64_t n_end;
  tsr_plane codes;
  tsr_plane scale;
  tsr_plane scale2;
  tsr_plane zero_point;
  std::byte* packed;

  const std::byte* code_row(int64_t n) const {
    return plane_row(codes, n - n_begin);
  }
  // Element of row n, group g of a blocked f32 section at `offset`.
  float* blocked(size_t offset, int64_t n, int64_t g) const {
    const int64_t tile = n / kTileCols * shape.num_groups + g;
    return reinterpret_cast<float*>(packed + offset) + tile * kTileCols +
           n % kTileCols;
  }
};

// Bytes that turn the codes of a format into those of its layout.
std::byte code_flip(uint32_t format) {
  if (format == TSR_WEIGHT_U8) return std::byte{0x80};
  if (format == TSR_WEIGHT_I4) return std::byte{0x88};
  return std::byte{0};
}

// What the layout's codes are above the format's.
float code_shift(uint32_t format) {
  if (format == TSR_WEIGHT_U8) return -128.0f;
  if (format == TSR_WEIGHT_I4) return 8.0f;
  return 0.0f;
}

// Sums of the codes of row n, group by group, as they lie in the tile.
void store_sums(const Packing& p, int64_t n) {
  const std::byte flip = code_flip(p.shape.format);
  const std::byte* row = p.code_row(n);
  for (int64_t g = 0; g < p.shape.num_groups; ++g) {
    const int64_t begin = g * p.shape.group_size;
    const int64_t end = std::min(begin + p.shape.group_size, p.shape.K);
    int32_t sum = 0;
    for (int64_t k = begin; k < end; ++k) {
      sum += static_cast<int8_t>(row[k] ^ flip);
    }
    const int64_t tile = n / kTileCols * p.shape.num_groups + g;
    reinterpret_cast<int32_t*>(
        p.packed + p.shape.sums_offset)[tile * kTileCols + n % kTileCols] = sum;
  }
}

void store_i8_row(const Packing& p, int64_t n, std::byte* tile) {
  const std::byte flip = code_flip(p.shape.format);
  const std::byte* row = p.code_row(n);
  std::byte* out = tile + n % kTileCols * 4;
  for (int64_t k = 0; k < p.shape.K; k += 4, out += 4 * kTileCols) {
    const int64_t left = std::min<int64_t>(4, p.shape.K - k);
    for (int64_t i = 0; i < left; ++i) out[i] = row[k + i] ^ flip;
  }
  store_sums(p, n);
}

void store_u4_row(const Packing& p, int64_t n, std::byte* tile) {
  const std::byte flip = code_flip(p.shape.format);
  const std::byte* row = p.code_row(n);
  const int64_t row_bytes = (p.shape.K + 1) / 2;
  std::byte* out = tile + n % kTileCols * 4;
  for (int64_t i = 0; i < row_bytes; i += 4, out += 4 * kTileCols) {
    std::byte pairs[4] = {};  // columns 2 j and 2 j + 1
    for (int64_t j = 0; j < std::min<int64_t>(4, row_bytes - i); ++j) {
      pairs[j] = row[i + j] ^ flip;
      // What a row's last byte holds past K is no code.
      if (2 * (i + j) + 1 == p.shape.K) pairs[j] &= std::byte{15};
    }
    for (int64_t b = 0; b < 4; ++b) {
      const int shift = b % 2 == 0 ? 0 : 4;
      const std::byte low = pairs[b / 2] >> shift & std::byte{15};
      const std::byte high = pairs[b / 2 + 2] >> shift & std::byte{15};
      out[b] = low | high << 4;
    }
  }
}

void store_scales(const Packing& p, int64_t n) {
  const int64_t row = n - p.n_begin;
  for (int64_t g = 0; g < p.shape.num_groups; ++g) {
    const int64_t k = g * p.shape.group_size;
    *p.blocked(p.shape.scales_offset, n, g) = block_f32(p.scale, row, k);
    if (!p.shape.has_zeros) continue;
    const float zero = element_f32(
        p.zero_point.dtype, plane_row(p.zero_point, row / p.scale.block_n),
        k / p.scale.block_k);
    *p.blocked(p.shape.zeros_offset, n, g) = zero + code_shift(p.shape.format);
  }
  if (p.shape.has_scale2) {
    reinterpret_cast<float*>(p.packed + p.shape.scale2_offset)[n] =
        block_f32(p.scale2, row, 0);
  }
}

// The missing rows of the last tile must not stay as the memory was.
void clear_padding(const Packing& p) {
  const WeightShape& s = p.shape;
  for (int64_t n = s.N; n < s.num_tiles() * kTileCols; ++n) {
    for (int64_t g = 0; g < s.num_groups; ++g) {
      *p.blocked(s.scales_offset, n, g) = 0.0f;
      if (s.layout != Layout::kU4Tiles) {
        *p.blocked(s.sums_offset, n, g) = 0.0f;  // the bits of integer 0
      }
      if (s.has_zeros) *p.blocked(s.zeros_offset, n, g) = 0.0f;
    }
    if (s.has_scale2) {
      reinterpret_cast<float*>(p.packed + s.scale2_offset)[n] = 0.0f;
    }
  }
}

void check_slice(const WeightShape& shape, const tsr_weight_desc& slice,
                 int64_t n_begin, int64_t n_end) {
  const auto range = [&] {
    return "rows " + std::to_string(n_begin) + " to " + std::to_string(n_end) +
           " of " + std::to_string(shape.N);
  };
  if (n_begin < 0 || n_begin >= n_end || n_end > shape.N ||
      n_begin % kTileCols != 0 ||
      (n_end % kTileCols != 0 && n_end != shape.N)) {
    throw sdk::Error(
        TSR_INVALID_ARGUMENT,
        range() + " are not whole tiles of " + std::to_string(kTileCols));
  }
  const WeightShape part = weight_shape(slice);
  if (part.format != shape.format || part.K != shape.K ||
      part.N != n_end - n_begin || part.group_size != shape.group_size ||
      part.layout != shape.layout || part.has_zeros != shape.has_zeros ||
      part.has_scale2 != shape.has_scale2) {
    throw sdk::Error(TSR_INVALID_ARGUMENT,
                     range() + " do not have the planes of the whole weight");
  }
  for (const uint32_t role : {TSR_PLANE_CODES, TSR_PLANE_SCALE,
                              TSR_PLANE_SCALE2, TSR_PLANE_ZERO_POINT}) {
    const tsr_plane plane = find_plane(slice, static_cast<uint32_t>(role));
    if (exists(plane) && plane.data == nullptr) {
      throw sdk::Error(
          TSR_INVALID_ARGUMENT,
          "plane of role " + std::to_string(role) + " has no data");
    }
  }
}

Packing start_packing(const WeightShape& shape, const tsr_weight_desc& slice,
                      int64_t n_begin, int64_t n_end, void* packed) {
  check_slice(shape, slice, n_begin, n_end);
  return {shape,
          n_begin,
          n_end,
          find_plane(slice, TSR_PLANE_CODES),
          find_plane(slice, TSR_PLANE_SCALE),
          find_plane(slice, TSR_PLANE_SCALE2),
          find_plane(slice, TSR_PLANE_ZERO_POINT),
          static_cast<std::byte*>(packed)};
}

}  // namespace

void pack_rows(const WeightShape& shape, const tsr_weight_desc& slice,
               int64_t n_begin, int64_t n_end, void* packed) {
  const Packing p = start_packing(shape, slice, n_begin, n_end, packed);
  if (shape.layout == Layout::kFormatTiles) {
    return pack_format_rows(shape, {p.codes, p.scale, p.scale2, n_begin, n_end},
                            p.packed);
  }
  if (shape.layout == Layout::kSparseTiles) {
    pack_sparse(shape, p.codes, find_plane(slice, TSR_PLANE_INDEX), p.packed);
    for (int64_t n = n_begin; n < n_end; ++n) store_scales(p, n);
    return clear_padding(p);
  }
  for (int64_t n = n_begin; n < n_end; ++n) {
    std::byte* tile = p.packed + n / kTileCols * shape.tile_bytes;
    if (n % kTileCols == 0) {
      std::memset(tile, 0, static_cast<size_t>(shape.tile_bytes));
    }
    if (shape.layout == Layout::kI8Tiles) {
      store_i8_row(p, n, tile);
    } else {
      store_u4_row(p, n, tile);
    }
    store_scales(p, n);
  }
  if (n_end == shape.N) clear_padding(p);
}

}  // namespace tessera::cpu
