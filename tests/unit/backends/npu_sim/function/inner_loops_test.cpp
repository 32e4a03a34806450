// SPDX-License-Identifier: Apache-2.0
//
// Every instruction set gives the bits of a scalar loop.

#include "backends/npu_sim/function/inner_loops.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <vector>

#include "backends/npu_sim/function/half.hpp"

namespace tessera::npu {
namespace {

std::vector<const InnerLoops*> all_loops() {
  std::vector<const InnerLoops*> all = {portable_loops()};
  if (avx2_loops() != nullptr) all.push_back(avx2_loops());
  return all;
}

TEST(InnerLoops, SumHalfProductsInAscendingOrder) {
  std::mt19937 rng(42);
  std::normal_distribution<float> normal;
  for (const InnerLoops* loops : all_loops()) {
    SCOPED_TRACE(loops->name);
    for (const Half type : {Half::kF16, Half::kBf16}) {
      for (const int64_t K : {1, 2, 7, 64, 129}) {
        for (int64_t rows = 1; rows <= kMaxRows; ++rows) {
          const int64_t stride = K + 3;
          std::vector<float> x(static_cast<size_t>(rows * stride));
          std::vector<uint16_t> w(static_cast<size_t>(K * kTileColumns));
          for (float& value : x) value = rounded_to_half(type, normal(rng));
          for (uint16_t& bits : w) bits = half_from_f32(type, normal(rng));
          std::vector<float> acc(static_cast<size_t>(rows * kTileColumns),
                                 0.125f);
          (type == Half::kF16 ? loops->f16_tile : loops->bf16_tile)(
              x.data(), stride, rows, w.data(), K, acc.data());
          for (int64_t r = 0; r < rows; ++r) {
            for (int64_t j = 0; j < kTileColumns; ++j) {
              float sum = 0.125f;
              for (int64_t k = 0; k < K; ++k) {
                // Exact in double, then one rounding.
                sum = static_cast<float>(
                    double{sum} +
                    double{x[static_cast<size_t>(r * stride + k)]} *
                        f32_from(type,
                                 w[static_cast<size_t>(k * kTileColumns + j)]));
              }
              ASSERT_EQ(acc[static_cast<size_t>(r * kTileColumns + j)], sum)
                  << "K=" << K << " r=" << r << " j=" << j;
            }
          }
        }
      }
    }
  }
}

TEST(InnerLoops, SumIntegersExactly) {
  std::mt19937 rng(42);
  std::uniform_int_distribution<int> code(-255, 255);
  for (const InnerLoops* loops : all_loops()) {
    SCOPED_TRACE(loops->name);
    for (const int64_t K : {1, 15, 16, 17, 255, 1024}) {
      for (int64_t rows = 1; rows <= kMaxRows; ++rows) {
        std::vector<int16_t> x(static_cast<size_t>(rows * K));
        std::vector<int16_t> w(static_cast<size_t>(K));
        for (int16_t& value : x) value = static_cast<int16_t>(code(rng));
        for (int16_t& value : w) value = static_cast<int16_t>(code(rng));
        std::vector<int32_t> out(static_cast<size_t>(rows));
        loops->dot_i16(x.data(), K, rows, w.data(), K, out.data());
        for (int64_t r = 0; r < rows; ++r) {
          int64_t sum = 0;
          for (int64_t k = 0; k < K; ++k) {
            sum += int64_t{x[static_cast<size_t>(r * K + k)]} *
                   w[static_cast<size_t>(k)];
          }
          ASSERT_EQ(out[static_cast<size_t>(r)], sum) << "K=" << K;
        }
      }
    }
  }
}

TEST(InnerLoops, AddScaledRowsWithOneRounding) {
  std::mt19937 rng(42);
  std::normal_distribution<float> normal;
  for (const InnerLoops* loops : all_loops()) {
    for (const int64_t n : {1, 7, 8, 9, 128}) {
      std::vector<float> row(static_cast<size_t>(n));
      for (float& value : row) value = normal(rng);
      std::vector<float> acc = row;
      loops->add_scaled(0.3f, row.data(), n, acc.data());
      for (size_t i = 0; i < row.size(); ++i) {
        ASSERT_EQ(acc[i], std::fma(0.3f, row[i], row[i])) << loops->name;
      }
    }
  }
}

}  // namespace
}  // namespace tessera::npu
