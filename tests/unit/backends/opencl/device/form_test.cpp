// SPDX-License-Identifier: Apache-2.0
//
// Kernels give the oracle's results in every form that a device may choose.

#include <gmock/gmock.h>

#include <algorithm>
#include <sstream>

#include "tests/unit/backends/device/attention_case.hpp"
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

// Ways that kernels differ in from device to device, forced on this one.
class OpenClFeatures : public testing::TestWithParam<const char*> {
 protected:
  // "form=tile dot=emulated" as options.
  Options options() const {
    Options options;
    std::istringstream words(GetParam());
    for (std::string word; words >> word;) {
      const size_t equals = word.find('=');
      options.emplace_back(word.substr(0, equals), word.substr(equals + 1));
    }
    return options;
  }
};

TEST_P(OpenClFeatures, GiveTheOraclesResults) {
  TSR_OPEN_OR_SKIP(device, options());
  std::mt19937 rng(42);
  for (const char* name : {"i8_channel", "u4_g32_f16"}) {
    SCOPED_TRACE(name);
    const auto planes = random_weight(weight_kind(name), 70, 320, rng);
    for (const uint32_t act_quant :
         {uint32_t{TSR_ACT_FLOAT}, uint32_t{TSR_ACT_I8_DYNAMIC}}) {
      for (const uint32_t M : {1U, 9U, 70U}) {
        LinearCase c;
        c.M = M;
        c.act_quant = act_quant;
        c.x_dtype = c.y_dtype = TSR_F16;
        c.n_begin = 3;
        expect_linear(device, planes, c);
      }
    }
  }
}

TEST_P(OpenClFeatures, GiveTheOraclesAttention) {
  TSR_OPEN_OR_SKIP(device, options());
  AttentionCase c;
  c.seqs = {{1, 40}, {9, 70}};
  AttentionStep(*device, c, TSR_KV_I8_TOKEN).run(device);
  AttentionStep(*device, c, TSR_KV_I8_HEAD).run(device);
}

// Codes at the ends of s8 on both sides, and K that four does not divide.
TEST_P(OpenClFeatures, AddExtremeCodesExactly) {
  TSR_OPEN_OR_SKIP(device, options());
  std::mt19937 rng(42);
  auto planes = random_weight(weight_kind("i8_channel"), 20, 1027, rng);
  for (format::Plane& plane : planes.planes) {
    if (plane.role != TSR_PLANE_CODES) continue;
    std::fill(plane.owned.begin(), plane.owned.end(), std::byte{0x80});
  }
  LinearCase c;
  c.M = 9;
  c.act_quant = TSR_ACT_I8_DYNAMIC;
  c.y_dtype = TSR_I32;
  expect_linear(device, planes, c);
}

INSTANTIATE_TEST_SUITE_P(All, OpenClFeatures,
                         testing::Values("form=tile dot=emulated",
                                         "form=tile subgroups=emulated",
                                         "width=8", "width=4", "half=storage",
                                         "pairs=off", "pairs=emulated"),
                         [](const auto& words) {
                           std::string name = words.param;
                           std::replace(name.begin(), name.end(), '=', '_');
                           std::replace(name.begin(), name.end(), ' ', '_');
                           return name;
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
