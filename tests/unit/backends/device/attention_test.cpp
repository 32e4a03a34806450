// SPDX-License-Identifier: Apache-2.0
//
// Attention over every cache type, mask and ragged shape, against the oracle.

#include <gmock/gmock.h>

#include <algorithm>

#include "tests/unit/backends/device/attention_case.hpp"

namespace tessera::device_test {
namespace {

class DeviceAttention : public testing::TestWithParam<uint32_t> {};

TEST_P(DeviceAttention, IsTheOracleForEveryShapeAndMask) {
  TSR_OPEN_OR_SKIP(device, {});
  for (const AttentionCase& c : attention_cases()) {
    AttentionStep(*device, c, GetParam()).run(device);
  }
}

TEST_P(DeviceAttention, FailsTheStepForABlockOutsideThePool) {
  TSR_OPEN_OR_SKIP(device, {});
  AttentionStep step(*device, AttentionCase{}, GetParam());
  step.block_table().set_integer(0, 1, 1 << 20);
  const Status status = step.run_op(device);
  EXPECT_EQ(status.code(), TSR_INVALID_ARGUMENT);
}

// Equal keys: every probability has the largest code, and sums with V of the
// largest codes are far beyond what f32 holds.
TEST(DeviceIntegerAttention, SumsOfManyExtremeCodesAreExact) {
  TSR_OPEN_OR_SKIP(device, {});
  AttentionCase c;
  c.num_q_heads = 2;
  c.num_kv_heads = 1;
  for (const uint32_t q_len : {1U, 9U}) {
    c.seqs = {{q_len, 3000}};
    AttentionStep step(*device, c, TSR_KV_I8_HEAD);
    std::fill(step.blocks().begin(), step.blocks().end(), std::byte{127});
    step.blocks()[5] = std::byte{0x81};
    step.run(device);
  }
}

INSTANTIATE_TEST_SUITE_P(All, DeviceAttention,
                         testing::Values(TSR_KV_F32, TSR_KV_F16, TSR_KV_BF16,
                                         TSR_KV_I8_TOKEN, TSR_KV_I8_CHANNEL,
                                         TSR_KV_I8_HEAD),
                         [](const auto& format) {
                           return "kv" + std::to_string(format.param);
                         });

// A kernel may guess codes by an exponential, but what it guesses is held
// against the thresholds.
TEST(DeviceAttentionCodes, AreWhatTheThresholdsSay) {
  TSR_OPEN_OR_SKIP(device, {});
  AttentionCase c;
  c.has_straight_thresholds = true;
  AttentionStep(*device, c, TSR_KV_I8_HEAD).run(device);
}

}  // namespace
}  // namespace tessera::device_test
