// SPDX-License-Identifier: Apache-2.0
//
// Each way of a feature gives the oracle's results, forced by its option; what
// the device or this build lacks is refused with the reason.

#include <gmock/gmock.h>

#include "tests/unit/backends/device/variants.hpp"

namespace tessera::device_test {
namespace {

class VulkanVariant : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    const Status status = try_open(options_of(GetParam())).status();
    // Of a device, or a build, that lacks a native way; no other failure is
    // forgiven.
    if (status.code() == TSR_INVALID_ARGUMENT &&
        status.message().find("=native needs ") != std::string::npos) {
      GTEST_SKIP() << status.message();
    }
  }
};

TEST_P(VulkanVariant, GivesTheOraclesResults) {
  TSR_OPEN_OR_SKIP(device, options_of(GetParam()));
  expect_linears(device,
                 {"i8_channel", "u4_channel", "i4_g32", "sparse", "f16"});
}

// Codes that are no s8 once the zero point is taken off: signed and unsigned,
// and rows of both kinds in one step.
TEST_P(VulkanVariant, TakesZeroPointsOff) {
  TSR_OPEN_OR_SKIP(device, options_of(GetParam()));
  std::mt19937 rng(42);
  for (const char* name : {"i8_channel", "u4_g32", "sparse"}) {
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

TEST_P(VulkanVariant, AddsExtremeCodesExactly) {
  TSR_OPEN_OR_SKIP(device, options_of(GetParam()));
  expect_extreme_codes(device);
}

INSTANTIATE_TEST_SUITE_P(
    All, VulkanVariant,
    testing::Values("form=block storage=emulated", "form=tile dot=native",
                    "form=tile dot=emulated", "form=tile matrix=native",
                    "form=tile matrix=emulated",
                    "form=tile matrix=emulated dot=native storage=emulated",
                    "form=tile subgroups=off",
                    "form=tile subgroups=native storage=emulated",
                    "queues=emulated staging=always"),
    [](const auto& words) { return test_name_of(words.param); });

TEST(VulkanVariants, UnknownOptionsAndWaysAreRefusedByName) {
  TSR_OPEN_OR_SKIP(device, {});
  EXPECT_THAT(try_open({{"form", "round"}}).status().message(),
              testing::HasSubstr("form=round is none of auto, block, tile"));
  EXPECT_THAT(
      try_open({{"dot", "maybe"}}).status().message(),
      testing::HasSubstr("dot=maybe is none of auto, native, emulated, off"));
  EXPECT_THAT(
      try_open({{"staging", "never"}}).status().message(),
      testing::HasSubstr("staging=never is none of auto, needed, always"));
  EXPECT_THAT(
      try_open({{"shape", "block"}}).status().message(),
      testing::HasSubstr("no option shape; there are timeout_ms, form, "
                         "storage, subgroups, dot, matrix, staging, queues"));
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
