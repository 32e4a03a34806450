// SPDX-License-Identifier: Apache-2.0
//
// Rows of any of kTileFormats into tiles.

#include "backends/cpu/kernels/linear/format_pack.hpp"

#include <algorithm>
#include <cstring>
#include <vector>

#include "backends/cpu/kernels/linear/format_codes.hpp"
#include "backends/cpu/kernels/linear/weight_planes.hpp"

namespace tessera::cpu {
namespace {

class FormatPacking {
 public:
  FormatPacking(const WeightShape& shape, const FormatSlice& slice,
                std::byte* packed)
      : shape_(shape),
        slice_(slice),
        row_(kTileFormats[shape.tile_format]),
        packed_(packed),
        codes_(static_cast<size_t>(shape.padded_K) + 256) {}

  void pack_row(int64_t n) {
    const std::byte* source = plane_row(slice_.codes, n - slice_.n_begin);
    if (row_.codes == Codes::kBf16) return store_bf16(n, source);
    std::fill(codes_.begin(), codes_.end(), uint8_t{0});
    read_codes(shape_.format, source, shape_.K, codes_.data());
    if (code_bits(row_.codes) == 8) {
      store_bytes(n);
    } else {
      store_nibbles(n);
    }
    store_high(n);
    if (find_gguf_block(shape_.format) != nullptr) {
      store_block_scales(n, source);
    } else {
      store_plane_scales(n);
    }
  }

 private:
  std::byte* at(size_t section, int64_t tile_bytes, int64_t n) const {
    return packed_ + section + n / kTileCols * tile_bytes;
  }
  template <typename T>
  static void store(std::byte* base, int64_t index, T value) {
    std::memcpy(base + index * static_cast<int64_t>(sizeof(T)), &value,
                sizeof(T));
  }

  void store_bf16(int64_t n, const std::byte* source) const {
    std::byte* out = at(0, shape_.tile_bytes, n) + n % kTileCols * 4;
    for (int64_t k = 0; k < shape_.K; ++k) {
      const int64_t place = k / 2 * 2 * kTileCols + k % 2;
      store(out, place, load_as<uint16_t>(source, k));
    }
  }
  void store_bytes(int64_t n) const {
    std::byte* out = at(0, shape_.tile_bytes, n) + n % kTileCols * 4;
    for (int64_t k = 0; k < shape_.padded_K; k += 4, out += 4 * kTileCols) {
      std::memcpy(out, &codes_[static_cast<size_t>(k)], 4);
    }
  }
  void store_nibbles(int64_t n) const {
    std::byte* out = at(0, shape_.tile_bytes, n) + n % kTileCols * 4;
    for (int64_t k = 0; k < shape_.padded_K; k += 8, out += 4 * kTileCols) {
      const uint8_t* codes = &codes_[static_cast<size_t>(k)];
      for (int b = 0; b < 4; ++b) {
        out[b] =
            static_cast<std::byte>((codes[b] & 15) | (codes[b + 4] & 15) << 4);
      }
    }
  }
  void store_high(int64_t n) const {
    if (row_.high_bits == 0) return;
    std::byte* out = at(shape_.high_offset, shape_.high_tile_bytes, n);
    const int64_t columns = 32 / row_.high_bits;
    for (int64_t k = 0; k < shape_.padded_K; k += columns) {
      uint32_t bits = 0;
      for (int64_t c = 0; c < columns; ++c) {
        const auto high =
            static_cast<uint32_t>(codes_[static_cast<size_t>(k + c)] >> 4);
        bits |= high << high_place(row_.high_bits, static_cast<int>(c / 8),
                                   static_cast<int>(c % 8));
      }
      store(out, k / columns * kTileCols + n % kTileCols, bits);
    }
  }

  // SCALE and SCALE2 planes.
  void store_plane_scales(int64_t n) const {
    const int64_t row = n - slice_.n_begin;
    std::byte* out = at(shape_.scales_offset, shape_.scale_tile_bytes, n);
    for (int64_t g = 0; g < shape_.num_groups; ++g) {
      const int64_t place = g * kTileCols + n % kTileCols;
      const int64_t k = g * shape_.group_size;
      if (row_.scales == Scales::kF32) {
        store(out, place, block_f32(slice_.scale, row, k));
      } else {
        out[place] = plane_row(
            slice_.scale, row / slice_.scale.block_n)[k / slice_.scale.block_k];
      }
    }
    if (shape_.has_scale2) {
      store(packed_ + shape_.scale2_offset, n,
            block_f32(slice_.scale2, row, 0));
    }
  }

  // Scales inside GGUF blocks.
  void store_block_scales(int64_t n, const std::byte* source) const {
    const BlockParts parts = block_parts(shape_.format);
    const int64_t lane = n % kTileCols;
    std::byte* scales = at(shape_.scales_offset, shape_.scale_tile_bytes, n);
    std::byte* mins =
        at(shape_.mins_offset, shape_.num_groups * kTileCols * 2, n);
    for (int64_t b = 0; b < shape_.K / parts.values; ++b) {
      const std::byte* block = source + b * parts.bytes;
      const auto scale = load_as<uint16_t>(block + parts.scale, 0);
      if (row_.scales == Scales::kQ4K) {
        std::byte* out = scales + b * kQ4KScaleBytes;
        store(out, lane, scale);
        store(out + 32, lane, load_as<uint16_t>(block + parts.min, 0));
        store_words(block + parts.codes, 3, lane, out + 64, 0);
      } else if (row_.scales == Scales::kQ6K) {
        std::byte* out = scales + b * kQ6KScaleBytes;
        store_words(block + parts.codes, 4, lane, out, 0x80808080U);
        store(out + 256, lane, scale);
      } else {
        store(scales, b * kTileCols + lane, scale);
        if (parts.min >= 0) {
          store(mins, b * kTileCols + lane,
                load_as<uint16_t>(block + parts.min, 0));
        }
      }
    }
  }
  static void store_words(const std::byte* from, int64_t count, int64_t lane,
                          std::byte* out, uint32_t flip) {
    for (int64_t i = 0; i < count; ++i) {
      store(out, i * kTileCols + lane, load_as<uint32_t>(from, i) ^ flip);
    }
  }

  const WeightShape& shape_;
  const FormatSlice& slice_;
  const TileFormat& row_;
  std::byte* packed_;
  std::vector<uint8_t> codes_;
};

// Every byte of the tile's sections becomes zero.
void clear_tile(const WeightShape& shape, int64_t tile, std::byte* packed) {
  const auto clear = [&](size_t section, int64_t bytes) {
    if (bytes == 0) return;
    std::memset(packed + section + tile * bytes, 0, static_cast<size_t>(bytes));
  };
  const TileFormat& row = kTileFormats[shape.tile_format];
  clear(0, shape.tile_bytes);
  clear(shape.high_offset, shape.high_tile_bytes);
  clear(shape.scales_offset, shape.scale_tile_bytes);
  if (row.has_mins && row.scales == Scales::kF16) {
    clear(shape.mins_offset, shape.num_groups * kTileCols * 2);
  }
  if (shape.has_scale2) clear(shape.scale2_offset, kTileCols * 4);
}

// Sections are rounded up to cache lines; what lies past their last tile.
void clear_gaps(const WeightShape& shape, std::byte* packed) {
  const TileFormat& row = kTileFormats[shape.tile_format];
  const auto clear = [&](size_t section, int64_t tile_bytes) {
    const size_t begin =
        section + static_cast<size_t>(shape.num_tiles() * tile_bytes);
    const size_t end = (begin + 63) / 64 * 64;
    std::memset(packed + begin, 0, end - begin);
  };
  clear(shape.scales_offset, shape.scale_tile_bytes);
  if (row.has_mins && row.scales == Scales::kF16) {
    clear(shape.mins_offset, shape.num_groups * kTileCols * 2);
  }
}

}  // namespace

void pack_format_rows(const WeightShape& shape, const FormatSlice& slice,
                      std::byte* packed) {
  FormatPacking packing(shape, slice, packed);
  for (int64_t n = slice.n_begin; n < slice.n_end; ++n) {
    if (n % kTileCols == 0) clear_tile(shape, n / kTileCols, packed);
    packing.pack_row(n);
  }
  if (slice.n_end == shape.N) clear_gaps(shape, packed);
}

}  // namespace tessera::cpu
