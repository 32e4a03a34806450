// SPDX-License-Identifier: Apache-2.0
//
// Tensors and weights that the tests of function/ share.

#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <random>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "backends/npu_sim/function/rows.hpp"
#include "framework/format/encode.hpp"
#include "framework/format/sparse/sparse_tile.hpp"
#include "framework/format/weight.hpp"

namespace tessera::npu {

// `value` after rounding to `dtype`.
inline float rounded_to(uint32_t dtype, float value) {
  if (dtype == TSR_F32) return value;
  return rounded_to_half(dtype == TSR_F16 ? Half::kF16 : Half::kBf16, value);
}

// A [rows, cols] tensor whose rows are three elements further apart than that.
class TestTensor {
 public:
  TestTensor(uint32_t dtype, int64_t rows, int64_t cols)
      : dtype_(dtype),
        cols_(cols),
        stride_(cols + 3),
        bytes_(static_cast<size_t>(rows * stride_) *
                   (dtype == TSR_F32 || dtype == TSR_I32 ? 4 : 2),
               std::byte{0xA5}) {}
  TestTensor(uint32_t dtype, int64_t rows, int64_t cols, std::mt19937& rng)
      : TestTensor(dtype, rows, cols) {
    std::normal_distribution<float> normal;
    for (int64_t r = 0; r < rows; ++r) {
      for (int64_t c = 0; c < cols; ++c) set(r, c, normal(rng));
    }
  }

  ConstRows input() const { return {bytes_.data(), dtype_, stride_}; }
  Rows output() { return {bytes_.data(), dtype_, stride_}; }
  void set(int64_t row, int64_t col, float value) {
    store_row(output(), row, col, 1, &value);
  }
  float at(int64_t row, int64_t col) const {
    float value = 0.0f;
    load_row(input(), row, col, 1, &value);
    return value;
  }
  int32_t integer_at(int64_t row, int64_t col) const {
    int32_t value = 0;
    std::memcpy(&value, bytes_.data() + 4 * (row * stride_ + col), 4);
    return value;
  }
  std::vector<float> values() const {
    std::vector<float> dense;
    for (int64_t r = 0; r * stride_ < elements(); ++r) {
      for (int64_t c = 0; c < cols_; ++c) dense.push_back(at(r, c));
    }
    return dense;
  }
  // True if what lies between the rows is as it was.
  bool gaps_untouched() const {
    const int64_t size = static_cast<int64_t>(bytes_.size()) / elements();
    for (int64_t r = 0; r * stride_ < elements(); ++r) {
      for (int64_t b = (r * stride_ + cols_) * size;
           b < (r + 1) * stride_ * size; ++b) {
        if (bytes_[static_cast<size_t>(b)] != std::byte{0xA5}) return false;
      }
    }
    return true;
  }

 private:
  int64_t elements() const {
    return static_cast<int64_t>(bytes_.size()) /
           (dtype_ == TSR_F32 || dtype_ == TSR_I32 ? 4 : 2);
  }
  uint32_t dtype_;
  int64_t cols_;
  int64_t stride_;
  std::vector<std::byte> bytes_;
};

struct Shape {
  int64_t M;
  int64_t N;
  int64_t K;
};

// Each loop edge: rows of 4, tiles of 16 columns, vectors of 16 along K.
inline std::vector<Shape> edge_shapes() {
  return {{1, 1, 1},    {1, 16, 16},  {2, 15, 17},   {3, 17, 31},
          {4, 32, 32},  {5, 33, 64},  {7, 48, 127},  {8, 5, 128},
          {9, 64, 129}, {13, 80, 96}, {1, 384, 256}, {6, 130, 512}};
}

inline format::WeightData random_planes(const format::WeightScheme& scheme,
                                        const Shape& shape, std::mt19937& rng) {
  std::normal_distribution<float> normal(0.0f, 0.05f);
  std::vector<float> values(static_cast<size_t>(shape.N * shape.K));
  for (float& value : values) value = normal(rng);
  auto planes = format::encode_weight(scheme, static_cast<uint32_t>(shape.N),
                                      static_cast<uint32_t>(shape.K), values);
  if (!planes.ok()) std::abort();
  return std::move(*planes);
}

// SPARSE_FIXED tiles of int8 codes.
inline format::WeightData random_sparse_planes(const Shape& shape,
                                               std::mt19937& rng) {
  format::WeightData dense =
      random_planes({.format = TSR_WEIGHT_I8}, shape, rng);
  std::vector<int8_t> codes;
  format::Plane scale;
  for (format::Plane& plane : dense.planes) {
    if (plane.role == TSR_PLANE_SCALE) scale = plane;
    if (plane.role != TSR_PLANE_CODES) continue;
    for (const std::byte code : plane.owned) {
      codes.push_back(std::to_integer<int8_t>(code));
    }
  }
  auto tiles = format::encode_sparse_fixed(
      static_cast<uint32_t>(shape.N), static_cast<uint32_t>(shape.K), codes);
  if (!tiles.ok()) std::abort();
  auto planes =
      format::sparse_fixed_weight(std::move(*tiles), std::move(scale));
  if (!planes.ok()) std::abort();
  return std::move(*planes);
}

inline void add_small_plane(format::WeightData& planes, uint32_t role,
                            uint32_t dtype, std::span<const std::byte> bytes) {
  format::Plane plane;
  plane.role = role;
  plane.dtype = dtype;
  plane.rows = 1;
  plane.cols = static_cast<uint32_t>(bytes.size() / 4);
  plane.owned.assign(bytes.begin(), bytes.end());
  planes.planes.push_back(std::move(plane));
}

// Static activations with codes of about +-4 over the range.
inline void add_static_activation(format::WeightData& planes,
                                  int32_t zero_point) {
  const float scale = 4.0f / 127.0f;
  const float inv = 1.0f / scale;
  add_small_plane(planes, TSR_PLANE_ACT_SCALE, TSR_F32,
                  std::as_bytes(std::span(&scale, 1)));
  add_small_plane(planes, TSR_PLANE_ACT_INV, TSR_F32,
                  std::as_bytes(std::span(&inv, 1)));
  add_small_plane(planes, TSR_PLANE_ACT_ZERO_POINT, TSR_I32,
                  std::as_bytes(std::span(&zero_point, 1)));
}

}  // namespace tessera::npu
