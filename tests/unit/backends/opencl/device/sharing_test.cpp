// SPDX-License-Identifier: Apache-2.0
//
// Host and device see the same bytes however memory is shared.

#include <gmock/gmock.h>

#include "tests/unit/backends/device/attention_case.hpp"
#include "tests/unit/backends/device/copy_case.hpp"
#include "tests/unit/backends/device/linear_case.hpp"

namespace tessera::device_test {
namespace {

class OpenClSharing : public testing::TestWithParam<const char*> {
 protected:
  Options options() const { return {{"memory", GetParam()}}; }
};

TEST_P(OpenClSharing, LinearAndAttentionGiveTheOraclesResults) {
  TSR_OPEN_OR_SKIP(device, options());
  std::mt19937 rng(42);
  const auto planes = random_weight(weight_kind("i8_channel"), 40, 64, rng);
  LinearCase c;
  c.act_quant = TSR_ACT_I8_DYNAMIC;
  c.bias = c.residual = true;
  for (const uint32_t M : {1U, 9U}) {
    c.M = M;
    expect_linear(device, planes, c);
  }
  AttentionStep(*device, AttentionCase{}, TSR_KV_I8_TOKEN).run(device);
}

TEST_P(OpenClSharing, CopiesMoveBytesBetweenAndWithinBuffers) {
  TSR_OPEN_OR_SKIP(device, options());
  expect_copies(device);
}

INSTANTIATE_TEST_SUITE_P(All, OpenClSharing,
                         testing::Values("shared", "svm", "mapped", "copied"),
                         [](const auto& mode) {
                           return std::string(mode.param);
                         });

TEST(OpenClOptions, NameTheValuesThatAKeyMayHave) {
  TSR_OPEN_OR_SKIP(device, {});
  EXPECT_THAT(try_open({{"memory", "near"}}).status().message(),
              testing::HasSubstr(
                  "option memory=near is not auto, shared, svm, mapped or "
                  "copied"));
}

}  // namespace
}  // namespace tessera::device_test
