// SPDX-License-Identifier: Apache-2.0
//
// tessera/packing/pack_rows.hpp - from the host's planes to tiles.

#pragma once

#include <algorithm>
#include <cstring>
#include <string>
#include <vector>

#include "tessera/error.hpp"
#include "tessera/packing/code_writer.hpp"
#include "tessera/packing/gguf_block.hpp"
#include "tessera/packing/plane_data.hpp"
#include "tessera/packing/sparse_books.hpp"
#include "tessera/packing/sparse_tile.hpp"
#include "tessera/packing/weight_shape.hpp"

namespace tessera::sdk::packing {

namespace detail {

inline tsr_plane data_plane(const tsr_weight_desc& desc, uint32_t role) {
  const tsr_plane plane = find_plane(desc, role);
  if (exists(plane) && plane.data == nullptr) {
    throw Error(TSR_INVALID_ARGUMENT,
                "plane of role " + std::to_string(role) + " has no data");
  }
  return plane;
}

// Packs one slice.
class RowPacker {
 public:
  RowPacker(const WeightShape& shape, const tsr_weight_desc& slice,
            uint32_t n_begin, char* packed)
      : shape_(shape),
        sections_(shape.sections()),
        writer_(shape, packed),
        n_begin_(n_begin),
        packed_(packed),
        codes_(data_plane(slice, TSR_PLANE_CODES)),
        scale_(data_plane(slice, TSR_PLANE_SCALE)),
        zero_(data_plane(slice, TSR_PLANE_ZERO_POINT)),
        scale2_(data_plane(slice, TSR_PLANE_SCALE2)),
        block_(find_gguf_block(shape.format)) {
    if (shape.format == TSR_WEIGHT_SPARSE_FIXED && shape.code != Code::kBook) {
      expanded_ = expand_sparse(codes_, data_plane(slice, TSR_PLANE_INDEX),
                                shape.N, shape.K);
    }
  }

  // What no element fills is 0, and in books an escape that there is none for.
  void clear_tile(uint32_t tile) const {
    for (const Section& section : sections_) {
      const bool ones = section.begin == 0 && shape_.code == Code::kBook;
      std::memset(packed_ + section.begin + tile * section.tile_bytes,
                  ones ? 0xff : 0, section.tile_bytes);
    }
  }

  void pack(uint32_t n) const {
    if (block_ != nullptr) {
      pack_blocks(n);
    } else {
      if (shape_.code != Code::kBook) pack_codes(n);
      pack_scales(n);
    }
  }

 private:
  uint64_t column_of(uint32_t k) const {
    return uint64_t{k / shape_.group_size} * shape_.padded_group +
           k % shape_.group_size;
  }

  uint32_t code_bits(const std::byte* row, uint32_t k) const {
    switch (shape_.format) {
      case TSR_WEIGHT_F32:
        return load_as<uint32_t>(row, k);
      case TSR_WEIGHT_F16:
      case TSR_WEIGHT_BF16:
        return load_as<uint16_t>(row, k);
      case TSR_WEIGHT_U8:
        return load_as<uint8_t>(row, k) ^ 0x80U;
      case TSR_WEIGHT_I4:
        return nibble_at(row, k) ^ 8U;
      case TSR_WEIGHT_U4:
      case TSR_WEIGHT_F4E2M1:
      case TSR_WEIGHT_MXFP4:
      case TSR_WEIGHT_NVFP4:
        return nibble_at(row, k);
      default:
        return load_as<uint8_t>(row, k);
    }
  }

  void pack_codes(uint32_t n) const {
    const uint32_t r = n - n_begin_;
    const std::byte* row =
        expanded_.empty()
            ? plane_row(codes_, r)
            : reinterpret_cast<const std::byte*>(expanded_.data()) +
                  uint64_t{n} * shape_.K;
    for (uint32_t g = 0; g < shape_.num_groups; ++g) {
      const uint32_t begin = g * shape_.group_size;
      const auto end = static_cast<uint32_t>(
          std::min<uint64_t>(uint64_t{begin} + shape_.group_size, shape_.K));
      const uint64_t column = uint64_t{g} * shape_.padded_group;
      for (uint32_t k = begin; k < end; ++k) {
        writer_.put(n, column + (k - begin), code_bits(row, k));
      }
    }
  }

  template <typename Value>
  void put(uint64_t offset, uint64_t index, Value value) const {
    std::memcpy(packed_ + offset + index * sizeof(Value), &value,
                sizeof(Value));
  }

  void pack_scales(uint32_t n) const {
    const uint32_t r = n - n_begin_;
    for (uint32_t g = 0; g < shape_.num_groups && exists(scale_); ++g) {
      const uint64_t index = shape_.group_index(n, g);
      const uint32_t k = g * shape_.group_size;
      if (shape_.scale_bits == 16) {
        put(shape_.scales_offset, index,
            load_as<uint16_t>(plane_row(scale_, r / scale_.block_n),
                              k / scale_.block_k));
      } else {
        put(shape_.scales_offset, index, block_f32(scale_, r, k));
      }
      if (shape_.has_zeros) {
        // Codes of U8 are stored 128 lower.
        const float shift = shape_.format == TSR_WEIGHT_U8 ? 128.0f : 0.0f;
        put(shape_.zeros_offset, index, block_f32_of(zero_, r, k) - shift);
      }
    }
    if (shape_.has_scale2) {
      put(shape_.scale2_offset, n, block_f32(scale2_, r, 0));
    }
  }

  // ZERO_POINT has the blocks of SCALE.
  float block_f32_of(const tsr_plane& plane, uint32_t r, uint32_t k) const {
    return element_f32(plane.dtype, plane_row(plane, r / scale_.block_n),
                       k / scale_.block_k);
  }

  void pack_blocks(uint32_t n) const {
    const std::byte* row = plane_row(codes_, n - n_begin_);
    GgufValues values{};
    for (uint32_t k = 0; k < shape_.K; k += block_->values) {
      const uint64_t at = uint64_t{k} / block_->values * block_->bytes;
      split_gguf_block(*block_, row + at, values);
      for (uint32_t i = 0; i < block_->values; ++i) {
        writer_.put(
            n, column_of(k + i),
            static_cast<uint32_t>(static_cast<uint8_t>(values.codes[i])));
      }
      for (uint32_t g = 0; g < block_->values / block_->group; ++g) {
        const uint64_t index = shape_.group_index(n, k / block_->group + g);
        if (shape_.scale_bits == 16) {
          put(shape_.scales_offset, index, load_as<uint16_t>(row + at, 0));
        } else {
          put(shape_.scales_offset, index, values.scales[g]);
        }
        if (shape_.has_mins) put(shape_.mins_offset, index, values.mins[g]);
      }
    }
  }

  const WeightShape& shape_;
  std::vector<Section> sections_;
  CodeWriter writer_;
  uint32_t n_begin_;
  char* packed_;
  tsr_plane codes_;
  tsr_plane scale_;
  tsr_plane zero_;
  tsr_plane scale2_;
  const GgufBlock* block_;
  std::vector<int8_t> expanded_;
};

}  // namespace detail

// That pack_rows() takes the slice.
//
// Errors    throws Error INVALID_ARGUMENT if it does not fit the shape
inline void check_rows(const WeightShape& shape, const tsr_weight_desc& slice,
                       uint32_t n_begin, uint32_t n_end) {
  const uint32_t rows = shape.layout.rows;
  const bool whole_tiles =
      n_begin % rows == 0 && (n_end % rows == 0 || n_end == shape.N);
  if (n_begin >= n_end || n_end > shape.N || !whole_tiles ||
      slice.N != n_end - n_begin || slice.K != shape.K ||
      slice.format != shape.format) {
    throw Error(TSR_INVALID_ARGUMENT,
                "a slice of [" + std::to_string(slice.N) + ", " +
                    std::to_string(slice.K) + "] for rows " +
                    std::to_string(n_begin) + " to " + std::to_string(n_end) +
                    " of [" + std::to_string(shape.N) + ", " +
                    std::to_string(shape.K) + "]");
  }
  check_slice(slice);
}

// Packs rows n_begin .. n_end - 1 of a weight of `shape` from the planes of
// `slice`, whose data start at row n_begin (SPARSE_FIXED: all rows at once).
// Writes only those rows' tiles, so disjoint slices may run at once.
//
// Requires  n_begin and n_end multiples of a tile's rows, or n_end == N
// Errors    throws Error INVALID_ARGUMENT if the slice does not fit the shape,
//           or a SPARSE tile is damaged
inline void pack_rows(const WeightShape& shape, const tsr_weight_desc& slice,
                      uint32_t n_begin, uint32_t n_end, char* packed) {
  check_rows(shape, slice, n_begin, n_end);
  const detail::RowPacker packer(shape, slice, n_begin, packed);
  for (uint32_t n = n_begin; n < n_end; ++n) {
    if (n % shape.layout.rows == 0) packer.clear_tile(n / shape.layout.rows);
    packer.pack(n);
  }
  if (shape.code != Code::kBook) return;
  pack_books(shape, detail::data_plane(slice, TSR_PLANE_CODES),
             detail::data_plane(slice, TSR_PLANE_INDEX), packed);
}

}  // namespace tessera::sdk::packing
