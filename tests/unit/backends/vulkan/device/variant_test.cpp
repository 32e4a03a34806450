// SPDX-License-Identifier: Apache-2.0
//
// Each way of a feature gives the oracle's results, forced by its option; what
// the device or this build lacks is refused with the reason.

#include <gmock/gmock.h>

#include <algorithm>
#include <sstream>

#include "tests/unit/backends/device/linear_case.hpp"

namespace tessera::device_test {
namespace {

// "form=tile dot=native" as options.
Options options_of(const std::string& text) {
  Options options;
  std::istringstream words(text);
  for (std::string word; words >> word;) {
    const size_t equals = word.find('=');
    options.emplace_back(word.substr(0, equals), word.substr(equals + 1));
  }
  return options;
}

class VulkanVariant : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    const auto opened = try_open(options_of(GetParam()));
    // Native ways alone may be missing.
    const std::string text = GetParam();
    if (!opened.ok() && text.find("native") != std::string::npos) {
      GTEST_SKIP() << opened.status().message();
    }
  }
};

// One row, few, and many, which tiles of 64 hold with a rest; columns from the
// middle of a tile on.
TEST_P(VulkanVariant, GivesTheOraclesResults) {
  TSR_OPEN_OR_SKIP(device, options_of(GetParam()));
  std::mt19937 rng(42);
  for (const char* name : {"i8_channel", "u4_channel", "i4_g32", "f16"}) {
    SCOPED_TRACE(name);
    const WeightKind kind = weight_kind(name);
    const auto planes = random_weight(kind, 135, 328, rng);
    for (const uint32_t M : {1U, 9U, 70U}) {
      for (const uint32_t act_quant :
           {uint32_t{TSR_ACT_FLOAT}, uint32_t{TSR_ACT_I8_DYNAMIC}}) {
        if (act_quant != TSR_ACT_FLOAT && !has_integer_codes(kind)) continue;
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

// Codes that are no s8 once the zero point is taken off: signed and unsigned,
// and rows of both kinds in one step.
TEST_P(VulkanVariant, TakesZeroPointsOff) {
  TSR_OPEN_OR_SKIP(device, options_of(GetParam()));
  std::mt19937 rng(42);
  for (const char* name : {"i8_channel", "u4_g32"}) {
    SCOPED_TRACE(name);
    auto planes = random_weight(weight_kind(name), 70, 96, rng);
    add_static_activation(planes, 101);
    for (const uint32_t act_quant :
         {TSR_ACT_I8_STATIC, TSR_ACT_U8_STATIC, TSR_ACT_I8_MIX}) {
      for (const uint32_t M : {1U, 5U, 67U}) {
        LinearCase c;
        c.M = M;
        c.act_quant = act_quant;
        c.num_decode_tokens = M / 2;
        c.bias = true;
        expect_linear(device, planes, c);
      }
    }
  }
}

// Codes at the ends of s8 on both sides, and K that four does not divide.
TEST_P(VulkanVariant, AddsExtremeCodesExactly) {
  TSR_OPEN_OR_SKIP(device, options_of(GetParam()));
  std::mt19937 rng(42);
  auto planes = random_weight(weight_kind("i8_channel"), 20, 1027, rng);
  for (std::byte& code : planes.find(TSR_PLANE_CODES)->owned) {
    code = std::byte{0x80};
  }
  add_static_activation(planes, 127);
  for (const uint32_t act_quant : {TSR_ACT_I8_DYNAMIC, TSR_ACT_I8_STATIC}) {
    for (const uint32_t M : {1U, 20U}) {
      LinearCase c;
      c.M = M;
      c.act_quant = act_quant;
      c.y_dtype = TSR_I32;
      c.accumulate = true;
      expect_linear(device, planes, c);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(
    All, VulkanVariant,
    testing::Values("form=block storage=emulated", "form=tile dot=native",
                    "form=tile dot=emulated", "form=tile matrix=native",
                    "form=tile matrix=emulated",
                    "form=tile matrix=emulated dot=native storage=emulated",
                    "form=tile subgroups=off",
                    "form=tile subgroups=native storage=emulated"),
    [](const auto& words) {
      std::string name = words.param;
      std::replace(name.begin(), name.end(), '=', '_');
      std::replace(name.begin(), name.end(), ' ', '_');
      return name;
    });

TEST(VulkanVariants, UnknownOptionsAndWaysAreRefusedByName) {
  TSR_OPEN_OR_SKIP(device, {});
  EXPECT_THAT(try_open({{"form", "round"}}).status().message(),
              testing::HasSubstr("form=round is none of auto, block, tile"));
  EXPECT_THAT(
      try_open({{"dot", "maybe"}}).status().message(),
      testing::HasSubstr("dot=maybe is none of auto, native, emulated, off"));
  EXPECT_THAT(try_open({{"shape", "block"}}).status().message(),
              testing::HasSubstr("no option shape; there are timeout_ms, form, "
                                 "storage, subgroups, dot, matrix"));
}

TEST(VulkanVariants, WhatIsMissingIsSaid) {
  TSR_OPEN_OR_SKIP(device, {});
  const auto native = try_open({{"matrix", "native"}});
  if (native.ok()) GTEST_SKIP() << "this device has cooperative matrices";
  EXPECT_EQ(native.status().code(), TSR_INVALID_ARGUMENT);
  EXPECT_THAT(native.status().message(),
              testing::HasSubstr("matrix=native needs "
                                 "VK_KHR_cooperative_matrix"));
}

}  // namespace
}  // namespace tessera::device_test
