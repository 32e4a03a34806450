// SPDX-License-Identifier: Apache-2.0
//
// Kernels give the oracle's results in every form that a device may choose.

#include <gmock/gmock.h>

#include "tests/unit/backends/device/attention_case.hpp"
#include "tests/unit/backends/device/linear_case.hpp"
#include "tests/unit/backends/device/variants.hpp"

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

class OpenClFeatures : public testing::TestWithParam<const char*> {};

TEST_P(OpenClFeatures, GiveTheOraclesResults) {
  TSR_OPEN_OR_SKIP(device, options_of(GetParam()));
  expect_linears(device, {"i8_channel", "u4_g32_f16"});
}

TEST_P(OpenClFeatures, GiveTheOraclesAttention) {
  TSR_OPEN_OR_SKIP(device, options_of(GetParam()));
  AttentionCase c;
  c.seqs = {{1, 40}, {9, 70}};
  AttentionStep(*device, c, TSR_KV_I8_TOKEN).run(device);
  AttentionStep(*device, c, TSR_KV_I8_HEAD).run(device);
}

TEST_P(OpenClFeatures, AddExtremeCodesExactly) {
  TSR_OPEN_OR_SKIP(device, options_of(GetParam()));
  expect_extreme_codes(device);
}

INSTANTIATE_TEST_SUITE_P(All, OpenClFeatures,
                         testing::Values("form=tile dot=emulated",
                                         "form=tile subgroups=emulated",
                                         "width=8", "width=4", "half=storage",
                                         "pairs=off", "pairs=emulated"),
                         [](const auto& words) {
                           return test_name_of(words.param);
                         });

TEST(OpenClFeatureOptions, SayWhatTheDeviceLacks) {
  TSR_OPEN_OR_SKIP(device, {});
  const auto native = try_open({{"half", "native"}});
  if (!native.ok()) {
    EXPECT_THAT(native.status().message(),
                testing::HasSubstr("half=native needs cl_khr_fp16"));
  }
  EXPECT_THAT(try_open({{"width", "5"}}).status().message(),
              testing::HasSubstr("width=5 is none of auto, 16, 8, 4"));
}

}  // namespace
}  // namespace tessera::device_test
