// SPDX-License-Identifier: Apache-2.0
//
// Kernels that share a tile among the work-items of a group give the oracle's
// results too.

#include "tests/unit/backends/device/linear_case.hpp"

namespace tessera::device_test {
namespace {

// One of each path through the kernels of that form: its programs take long to
// compile.
TEST(OpenClTiles, AreTheOracleForEveryShape) {
  const Options tiles = {{"form", "tile"}};
  TSR_OPEN_OR_SKIP(device, tiles);
  for (const char* name : {"f32", "i8_channel", "i8_g300", "u4_g7",
                           "u4_g64_asym", "q4_k", "q4_0", "f8e4m3"}) {
    SCOPED_TRACE(name);
    expect_all_shapes(device, weight_kind(name));
  }
}

TEST(OpenClTiles, HaveTheSameEpilogueAndSums) {
  const Options tiles = {{"form", "tile"}};
  TSR_OPEN_OR_SKIP(device, tiles);
  std::mt19937 rng(42);
  auto planes = random_weight(weight_kind("i8_channel"), 90, 64, rng);
  add_small_planes(planes, true, rng);
  for (const uint32_t M : {1U, 70U}) {
    LinearCase c;
    c.M = M;
    c.act_quant = TSR_ACT_I8_DYNAMIC;
    c.n_begin = 19;
    c.n_end = 85;
    c.activation = TSR_EPILOGUE_SILU;
    c.bias = c.multiplier = c.residual = true;
    expect_linear(device, planes, c);
    LinearCase sums;
    sums.M = M;
    sums.act_quant = TSR_ACT_I8_DYNAMIC;
    sums.y_dtype = TSR_I32;
    sums.accumulate = true;
    expect_linear(device, planes, sums);
  }
}

}  // namespace
}  // namespace tessera::device_test
