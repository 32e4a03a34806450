// SPDX-License-Identifier: Apache-2.0
//
// The steps of the AMX kernels, on tiles in plain C++ where the processor has
// none; on one that has, the other tests of integer linears run them as well.

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "backends/cpu/kernels/linear/linear_kernel.hpp"
#include "tests/unit/backends/cpu/amx/emulated_tiles.hpp"
#include "tests/unit/backends/cpu/linear/emulated_kernels.hpp"
#include "tests/unit/backends/cpu/linear/linear_case.hpp"

namespace tessera::cpu {
namespace {

constexpr int32_t kUntouched = 0x5a5a5a5a;
constexpr int64_t kPadding = 64;  // behind the last row of sums

struct Sums {
  std::vector<int32_t> values;
  int32_t at(int64_t m, int64_t j) const {
    return values[static_cast<size_t>(m * kChunkCols + j)];
  }
};

// Rows of x of codes, and what kernels are given.
class Chunk {
 public:
  Chunk(const TestWeight& weight, int64_t M, std::mt19937& rng)
      : weight_(weight.linear()),
        M_(M),
        x_stride_((weight.depth() + kInputPadding - 1) / kInputPadding *
                  kInputPadding),
        x_(static_cast<size_t>(M * x_stride_)),
        zeros_(static_cast<size_t>(M)) {
    for (uint8_t& code : x_) code = static_cast<uint8_t>(rng());
    for (int32_t& zero : zeros_) zero = static_cast<int32_t>(rng() % 256);
  }

  Sums run(void (*kernel)(const IntegerWork&), int64_t n_begin,
           int64_t num_cols, int64_t group) const {
    Sums sums{std::vector<int32_t>(
        static_cast<size_t>(M_ * kChunkCols + kPadding), kUntouched)};
    kernel({&weight_, M_, x_.data(), x_stride_, zeros_.data(), n_begin,
            num_cols, group, sums.values.data()});
    return sums;
  }

 private:
  const LinearWeight& weight_;
  int64_t M_;
  int64_t x_stride_;
  std::vector<uint8_t> x_;
  std::vector<int32_t> zeros_;
};

void expect_scalar_sums(const TestWeight& weight, int64_t M, int64_t n_begin,
                        std::mt19937& rng) {
  const Chunk chunk(weight, M, rng);
  const int64_t num_cols = std::min(kChunkCols, weight.num_rows() - n_begin);
  for (int64_t g = 0; g < weight.linear().shape.num_groups; ++g) {
    const Sums ours =
        chunk.run(emulated_kernels().integer_i8, n_begin, num_cols, g);
    const Sums wanted = chunk.run(integer_any_scalar, n_begin, num_cols, g);
    EXPECT_TRUE(EmulatedTiles::is_released());
    for (int64_t m = 0; m < M; ++m) {
      for (int64_t j = 0; j < num_cols; ++j) {
        ASSERT_EQ(ours.at(m, j), wanted.at(m, j))
            << "M " << M << " N " << weight.num_rows() << " K "
            << weight.depth() << " group " << g << ": " << m << ", " << j;
      }
      const int64_t end = (num_cols + kTileCols - 1) / kTileCols * kTileCols;
      for (int64_t j = end; j < kChunkCols; ++j) {
        ASSERT_EQ(ours.at(m, j), kUntouched) << m << ", " << j;
      }
    }
    for (int64_t i = 0; i < kPadding; ++i) {
      ASSERT_EQ(ours.at(M, i), kUntouched);
    }
  }
}

WeightKindCase int8_in_groups_of(int64_t group_size) {
  for (WeightKindCase kind : weight_kinds()) {
    if (kind.scheme.format != TSR_WEIGHT_I8) continue;
    if (!kind.scheme.symmetric) continue;
    kind.scheme.group_size = static_cast<uint32_t>(group_size);
    return kind;
  }
  return {};
}

TEST(IntegerAmx, AddsUpWhatPlainLoopsDoAtEveryEdge) {
  std::mt19937 rng(42);
  const WeightKindCase kind = int8_in_groups_of(0);
  for (const int64_t K : {1, 4, 60, 63, 64, 65, 128, 200}) {
    for (const int64_t N : {1, 15, 16, 17, 32, 33, 48, 49, 64}) {
      const TestWeight weight = random_weight(kind, N, K, rng);
      ASSERT_EQ(weight.linear().shape.layout, Layout::kI8Tiles);
      for (const int64_t M : {1, 8, 15, 16, 17, 31, 32, 33, 100}) {
        expect_scalar_sums(weight, M, 0, rng);
      }
    }
  }
}

TEST(IntegerAmx, KeepsToItsGroup) {
  std::mt19937 rng(43);
  for (const int64_t group_size : {12, 32, 64, 96, 128}) {
    const TestWeight weight =
        random_weight(int8_in_groups_of(group_size), 40, 4 * group_size, rng);
    ASSERT_EQ(weight.linear().shape.layout, Layout::kI8Tiles);
    ASSERT_EQ(weight.linear().shape.num_groups, 4);
    expect_scalar_sums(weight, 33, 0, rng);
  }
}

TEST(IntegerAmx, BeginsAtAnyTile) {
  std::mt19937 rng(44);
  const TestWeight weight = random_weight(int8_in_groups_of(0), 150, 192, rng);
  for (const int64_t n_begin : {16, 64, 128, 144}) {
    expect_scalar_sums(weight, 40, n_begin, rng);
  }
}

WeightKindCase kind_named(const std::string& name) {
  for (const WeightKindCase& kind : weight_kinds()) {
    if (kind.name == name) return kind;
  }
  return {};
}

// A product of tiles takes as long for one row as for sixteen.
TEST(AmxRows, BeginWhereDotProductsTakeLonger) {
  struct Case {
    const char* kind;
    bool is_integer;
    int64_t first_M;
    const char* name;
  };
  const Case cases[] = {
      {"bf16", false, 9, "linear_bf16_bf16__amx_32x32"},
      {"q8_0", false, 9, "linear_bf16_q8_0__amx_32x32"},
      {"q4_0", false, 4, "linear_bf16_q4_0__amx_32x32"},
      {"u4_g128", false, 4, "linear_bf16_u4__amx_32x32"},
      {"i8_channel", true, 8, "linear_i8_i8__amx"},
      {"i4_g32", true, 8, "linear_i8_u4__amx"},
  };
  std::mt19937 rng(42);
  for (const Case& c : cases) {
    const TestWeight weight = random_weight(kind_named(c.kind), 16, 256, rng);
    const auto name_of = [&](int64_t M) {
      return find_linear_kernel(linear_kernels(),
                                {&weight.linear().shape, false, c.is_integer,
                                 !c.is_integer, M},
                                Isa::kAmx)
          ->name;
    };
    EXPECT_EQ(name_of(c.first_M), c.name);
    EXPECT_EQ(name_of(512), c.name);
    EXPECT_EQ(name_of(c.first_M - 1).find("amx"), std::string::npos);
  }
}

// Groups so small that their sums of codes do not fit the scratch.
TEST(AmxRows, LeaveSmallGroupsOfNibblesToOthers) {
  std::mt19937 rng(42);
  WeightKindCase kind = kind_named("u4_g32");
  kind.scheme.group_size = 16;
  const TestWeight weight = random_weight(kind, 16, 256, rng);
  ASSERT_EQ(weight.linear().shape.layout, Layout::kU4Tiles);
  EXPECT_EQ(find_linear_kernel(linear_kernels(),
                               {&weight.linear().shape, false, true, false, 64},
                               Isa::kAmx)
                ->name,
            "linear_i8_u4__avx512vnni");
}

}  // namespace
}  // namespace tessera::cpu
