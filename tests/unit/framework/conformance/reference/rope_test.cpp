// SPDX-License-Identifier: Apache-2.0

#include "framework/conformance/reference/attention/rope.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <complex>
#include <random>
#include <vector>

#include "tests/unit/framework/conformance/reference/random_values.hpp"

namespace tessera::reference {
namespace {

constexpr uint32_t kTokens = 3;
constexpr uint32_t kHeads = 2;
constexpr uint32_t kPositions = 50;

// Angles of the paper: position * 10000^(-2 i / rotary_dim).
double angle(uint32_t position, uint32_t i, uint32_t rotary_dim) {
  return position * std::pow(10000.0, -2.0 * i / rotary_dim);
}

std::vector<float> make_table(uint32_t rotary_dim) {
  std::vector<float> table;
  for (uint32_t position = 0; position < kPositions; ++position) {
    for (uint32_t i = 0; i < rotary_dim / 2; ++i) {
      table.push_back(
          static_cast<float>(std::cos(angle(position, i, rotary_dim))));
    }
    for (uint32_t i = 0; i < rotary_dim / 2; ++i) {
      table.push_back(
          static_cast<float>(std::sin(angle(position, i, rotary_dim))));
    }
  }
  return table;
}

struct RopeCase {
  uint32_t style;
  uint32_t head_dim;
  uint32_t rotary_dim;
};

class RopeStyle : public testing::TestWithParam<RopeCase> {
 protected:
  void SetUp() override {
    std::mt19937 rng(42);
    const auto [style, head_dim, rotary_dim] = GetParam();
    x_ = normal_values(rng, size_t{kTokens} * kHeads * head_dim);
    table_ = make_table(rotary_dim);
    p_ = {kTokens,       kHeads,     head_dim, x_.data(), positions_,
          table_.data(), kPositions, style,    rotary_dim};
  }

  const int32_t positions_[kTokens] = {0, 49, 7};
  std::vector<float> x_;
  std::vector<float> table_;
  Rope p_;
};

// (x0 + i x1) e^(i angle), with cosines and sines rounded to f32: an error of
// at most sqrt(2) 2^-24 |x|.
TEST_P(RopeStyle, IsMultiplicationByAUnitComplexNumber) {
  const auto [style, head_dim, rotary_dim] = GetParam();
  std::vector<double> y(x_.size());
  ASSERT_TRUE(rope(p_, y.data()).ok());
  for (uint32_t row = 0; row < kTokens * kHeads; ++row) {
    const float* x = &x_[size_t{row} * head_dim];
    const double* out = &y[size_t{row} * head_dim];
    for (uint32_t i = 0; i < rotary_dim / 2; ++i) {
      const uint32_t first = style == TSR_ROPE_HALF ? i : 2 * i;
      const uint32_t second =
          style == TSR_ROPE_HALF ? i + rotary_dim / 2 : 2 * i + 1;
      const auto position = static_cast<uint32_t>(positions_[row / kHeads]);
      const std::complex<double> z(x[first], x[second]);
      const auto rotated = z * std::polar(1.0, angle(position, i, rotary_dim));
      const double tolerance = std::abs(z) * 0x1p-23;
      EXPECT_NEAR(out[first], rotated.real(), tolerance);
      EXPECT_NEAR(out[second], rotated.imag(), tolerance);
    }
    for (uint32_t i = rotary_dim; i < head_dim; ++i) EXPECT_EQ(out[i], x[i]);
  }
}

// Three roundings a result, and in place.
TEST_P(RopeStyle, InF32RoundsEachProductAndSum) {
  std::vector<double> exact(x_.size());
  ASSERT_TRUE(rope(p_, exact.data()).ok());
  std::vector<float> y = x_;
  p_.x = y.data();
  ASSERT_TRUE(rope_f32(p_, y.data()).ok());
  for (size_t i = 0; i < y.size(); ++i) {
    EXPECT_NEAR(y[i], exact[i], 2 * 0x1p-24 * 2 * 4);
  }
  const auto [style, head_dim, rotary_dim] = GetParam();
  const uint32_t second = style == TSR_ROPE_HALF ? rotary_dim / 2 : 1;
  const size_t row = size_t{kHeads} * head_dim;  // token 1, head 0
  const float* angles = &table_[size_t{49} * rotary_dim];
  const float a = x_[row] * angles[0];
  const float b = x_[row + second] * angles[rotary_dim / 2];
  EXPECT_EQ(y[row], a - b);
}

INSTANTIATE_TEST_SUITE_P(All, RopeStyle,
                         testing::Values(RopeCase{TSR_ROPE_HALF, 8, 8},
                                         RopeCase{TSR_ROPE_HALF, 8, 4},
                                         RopeCase{TSR_ROPE_INTERLEAVED, 8, 8},
                                         RopeCase{TSR_ROPE_INTERLEAVED, 7, 2},
                                         RopeCase{TSR_ROPE_HALF, 2, 2}));

TEST(Rope, RefusesWhatItCannotRotate) {
  const float x[4] = {};
  const float table[8] = {};
  const int32_t inside = 1;
  const int32_t outside = 2;
  double y[4];
  Rope p{1, 1, 4, x, &inside, table, 2, TSR_ROPE_HALF, 4};
  EXPECT_TRUE(rope(p, y).ok());
  p.rotary_dim = 3;
  EXPECT_EQ(rope(p, y).message(), "rope: rotary_dim=3 of head_dim=4");
  p.rotary_dim = 6;
  EXPECT_FALSE(rope(p, y).ok());
  p.rotary_dim = 4;
  p.positions = &outside;
  EXPECT_EQ(rope(p, y).message(), "rope: position 2 of token 0, table has 2");
  p.style = 9;
  EXPECT_EQ(rope(p, y).message(), "rope: style 9 is unknown");
  p.style = TSR_ROPE_NONE;
  EXPECT_TRUE(rope(p, y).ok());
}

}  // namespace
}  // namespace tessera::reference
