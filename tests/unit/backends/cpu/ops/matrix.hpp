// SPDX-License-Identifier: Apache-2.0
//
// A matrix of any float type with padded rows and guard bytes, for tests.

#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <random>
#include <vector>

#include "backends/cpu/kernels/ops/convert.hpp"
#include "backends/cpu/kernels/ops/ops.hpp"

namespace tessera::cpu {

inline int64_t element_bytes(uint32_t dtype) {
  return dtype == TSR_F32 ? 4 : dtype == TSR_I8 ? 1 : 2;
}

inline float read_element(const void* data, uint32_t dtype, int64_t i) {
  if (dtype == TSR_F32) return static_cast<const float*>(data)[i];
  if (dtype == TSR_I8) return static_cast<const int8_t*>(data)[i];
  const uint16_t half = static_cast<const uint16_t*>(data)[i];
  return dtype == TSR_F16 ? f32_from_f16(half) : f32_from_bf16(half);
}

// x rounded to dtype.
inline float rounded(uint32_t dtype, float x) {
  if (dtype == TSR_F16) return f32_from_f16(f16_from_f32(x));
  if (dtype == TSR_BF16) return f32_from_bf16(bf16_from_f32(x));
  return x;
}

// The largest relative error of rounding to dtype; half an ulp.
inline double unit_roundoff(uint32_t dtype) {
  return dtype == TSR_F32 ? 0x1p-24 : dtype == TSR_F16 ? 0x1p-11 : 0x1p-8;
}

class Matrix {
 public:
  // Rows have 3 elements of padding; the whole has guards on both sides.
  Matrix(uint32_t dtype, int64_t num_rows, int64_t cols)
      : dtype_(dtype),
        num_rows_(num_rows),
        cols_(cols),
        bytes_(static_cast<size_t>(((num_rows + 2) * stride()) *
                                   element_bytes(dtype)),
               kGuard) {}

  void fill(std::mt19937& rng, float scale = 1.0f) {
    std::normal_distribution<float> normal(0.0f, scale);
    for (int64_t r = 0; r < num_rows_; ++r) {
      for (int64_t c = 0; c < cols_; ++c) set(r, c, normal(rng));
    }
  }
  void set(int64_t r, int64_t c, float x) {
    const int64_t i = r * stride() + c;
    if (dtype_ == TSR_F32) {
      static_cast<float*>(data())[i] = x;
    } else {
      static_cast<uint16_t*>(data())[i] =
          dtype_ == TSR_F16 ? f16_from_f32(x) : bf16_from_f32(x);
    }
  }
  float at(int64_t r, int64_t c) const {
    return read_element(data(), dtype_, r * stride() + c);
  }
  std::vector<float> row(int64_t r) const {
    std::vector<float> out;
    for (int64_t c = 0; c < cols_; ++c) out.push_back(at(r, c));
    return out;
  }

  ConstRows in() const { return {data(), dtype_, stride()}; }
  Rows out() { return {data(), dtype_, stride()}; }
  ConstVector vector() const { return {data(), dtype_}; }
  uint32_t dtype() const { return dtype_; }
  const std::vector<uint8_t>& bytes() const { return bytes_; }

  // Padding and guards are as they were made.
  void expect_guards_intact() const {
    const auto width = static_cast<size_t>(element_bytes(dtype_));
    for (size_t i = 0; i < bytes_.size(); ++i) {
      const int64_t element = static_cast<int64_t>(i / width) - stride();
      const bool inside = element >= 0 && element < num_rows_ * stride() &&
                          element % stride() < cols_;
      if (!inside) {
        ASSERT_EQ(bytes_[i], kGuard) << "guard byte " << i << " was written";
      }
    }
  }

 private:
  static constexpr uint8_t kGuard = 0xa5;

  int64_t stride() const { return cols_ + 3; }
  void* data() { return bytes_.data() + stride() * element_bytes(dtype_); }
  const void* data() const {
    return bytes_.data() + stride() * element_bytes(dtype_);
  }

  uint32_t dtype_;
  int64_t num_rows_;
  int64_t cols_;
  std::vector<uint8_t> bytes_;
};

// The same bits, or both NaN.
inline void expect_same(float actual, float expected) {
  if (expected != expected) {
    ASSERT_NE(actual, actual);
  } else {
    ASSERT_EQ(tsr_bits_f32(actual), tsr_bits_f32(expected))
        << actual << " is not " << expected;
  }
}

}  // namespace tessera::cpu
