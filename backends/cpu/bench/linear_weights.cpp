// SPDX-License-Identifier: Apache-2.0

#include "backends/cpu/bench/linear_weights.hpp"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <random>

namespace tessera::cpu {
namespace {

tsr_plane plane_of(uint32_t role, uint32_t dtype, int64_t rows, int64_t cols) {
  tsr_plane plane{};
  plane.struct_size = sizeof(plane);
  plane.role = role;
  plane.dtype = dtype;
  plane.rows = static_cast<uint32_t>(rows);
  plane.cols = static_cast<uint32_t>(cols);
  return plane;
}

}  // namespace

Weights::Weights(const Scheme& scheme, const Shape& shape, int64_t min_bytes) {
  fill_planes(scheme, shape);
  tsr_weight_desc desc{};
  desc.struct_size = sizeof(desc);
  desc.format = scheme.format;
  desc.N = static_cast<uint32_t>(shape.N);
  desc.K = static_cast<uint32_t>(shape.K);
  desc.planes = {planes_.data(), static_cast<uint32_t>(planes_.size()),
                 sizeof(tsr_plane)};

  const WeightShape layout = weight_shape(desc);
  const bool is_raw = layout.layout == Layout::kRaw;
  const size_t bytes = is_raw ? codes_.size() : layout.packed_bytes;
  stride_ = static_cast<int64_t>((bytes + 63) / 64 * 64);
  const int64_t count = std::max<int64_t>(1, min_bytes / stride_);
  memory_.resize(static_cast<size_t>(count * stride_));
  for (int64_t i = 0; i < count; ++i) {
    std::byte* place = memory_.data() + i * stride_;
    if (i > 0) {
      std::memcpy(place, memory_.data(), bytes);
    } else if (is_raw) {
      std::memcpy(place, codes_.data(), bytes);
    } else {
      pack_rows(layout, desc, 0, shape.N, place);
    }
    if (is_raw) planes_[0].data = place;
    weights_.push_back(open_weight(desc, place));
  }
}

void Weights::fill_planes(const Scheme& scheme, const Shape& shape) {
  if (scheme.format == TSR_WEIGHT_SPARSE_FIXED) {
    fill_sparse(shape);
  } else {
    std::mt19937 rng(42);
    const int64_t row_bytes = shape.K / scheme.values * scheme.bytes;
    codes_.resize(static_cast<size_t>(shape.N * row_bytes));
    // As halves and small floats, too, these are ordinary numbers.
    for (std::byte& b : codes_) b = static_cast<std::byte>(rng() & 0x3fU);
    const bool is_block = scheme.values > 2;
    planes_.push_back(plane_of(TSR_PLANE_CODES, scheme.dtype, shape.N,
                               is_block ? row_bytes : shape.K));
    planes_[0].row_bytes = static_cast<uint64_t>(row_bytes);
    planes_[0].data = codes_.data();
  }
  if (scheme.scale_dtype != TSR_DTYPE_NONE) fill_scales(scheme, shape);
}

void Weights::fill_scales(const Scheme& scheme, const Shape& shape) {
  const int64_t group = scheme.group_size == 0 ? shape.K : scheme.group_size;
  const int64_t groups = shape.K / group;
  const bool is_f32 = scheme.scale_dtype == TSR_F32;
  scales_.assign(static_cast<size_t>(shape.N * groups * (is_f32 ? 4 : 1)),
                 std::byte{0x3c});
  tsr_plane plane =
      plane_of(TSR_PLANE_SCALE, scheme.scale_dtype, shape.N, groups);
  plane.row_bytes = scales_.size() / static_cast<size_t>(shape.N);
  plane.block_n = 1;
  plane.block_k = static_cast<uint32_t>(group);
  plane.data = scales_.data();
  planes_.push_back(plane);
}

// One weight in 72 is an escape, as in the weights of docs/sparse_container.md.
void Weights::fill_sparse(const Shape& shape) {
  std::mt19937 rng(42);
  constexpr int64_t kRows = 256;
  constexpr int64_t kCols = 128;
  for (int64_t n = 0; n < shape.N; n += kRows) {
    for (int64_t k = 0; k < shape.K; k += kCols) {
      index_.push_back(static_cast<int64_t>(codes_.size()));
      const int64_t cols = std::min(kCols, shape.K - k);
      const int64_t nibbles = std::min(kRows, shape.N - n) * ((cols + 1) / 2);
      std::vector<std::byte> escapes;
      for (int value = -7; value < 9; ++value) {
        codes_.push_back(static_cast<std::byte>(value < 8 ? value : 0));
      }
      const auto nibble = [&]() -> uint32_t {
        const auto draw = static_cast<uint32_t>(rng());
        if (draw % 72 != 0) return draw / 72 % 15;
        escapes.push_back(static_cast<std::byte>(rng() & 0x7fU));
        return 15;
      };
      for (int64_t i = 0; i < nibbles; ++i) {
        const uint32_t low = nibble();
        codes_.push_back(static_cast<std::byte>(low | nibble() << 4));
      }
      codes_.insert(codes_.end(), escapes.begin(), escapes.end());
      codes_.resize((codes_.size() + 15) / 16 * 16);
    }
  }
  index_.push_back(static_cast<int64_t>(codes_.size()));
  planes_.push_back(plane_of(TSR_PLANE_CODES, TSR_U8, 1,
                             static_cast<int64_t>(codes_.size())));
  planes_[0].row_bytes = codes_.size();
  planes_[0].data = codes_.data();
  planes_.push_back(plane_of(TSR_PLANE_INDEX, TSR_I64, 1,
                             static_cast<int64_t>(index_.size())));
  planes_[1].row_bytes = 8 * index_.size();
  planes_[1].data = index_.data();
}

}  // namespace tessera::cpu
