// SPDX-License-Identifier: Apache-2.0
//
// Host and device see the same bytes however memory is shared, and devices say
// what is wrong with them.

#include <gmock/gmock.h>

#include <cstring>

#include "framework/host/timeline.hpp"
#include "tests/unit/backends/opencl/device/attention_case.hpp"
#include "tests/unit/backends/opencl/device/linear_case.hpp"

namespace tessera::opencl {
namespace {

using testing::HasSubstr;

class OpenClMemory : public testing::TestWithParam<const char*> {
 protected:
  Options options() const { return {{"memory", GetParam()}}; }
};

TEST_P(OpenClMemory, LinearAndAttentionGiveTheOraclesResults) {
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

TEST_P(OpenClMemory, CopiesMoveBytesBetweenAndWithinBuffers) {
  TSR_OPEN_OR_SKIP(device, options());
  const auto kind = device->memory_kind_with(TSR_MEMORY_HOST_VISIBLE);
  ASSERT_TRUE(kind.ok());
  auto a = device->create_buffer(64, *kind);
  auto b = device->create_buffer(64, *kind);
  ASSERT_TRUE(a.ok() && b.ok());
  auto* from = static_cast<unsigned char*>(*a->map());
  auto* to = static_cast<unsigned char*>(*b->map());
  for (unsigned char i = 0; i < 64; ++i) from[i] = i;
  std::memset(to, 0xff, 64);
  auto queue = device->create_queue();
  ASSERT_TRUE(queue.ok());
  Timeline timeline;
  const auto id = timeline.import_into(device);
  ASSERT_TRUE(id.ok());
  SubmissionBuilder copy(TSR_SUBMIT_COPY);
  copy.add_signal({*id, 1});
  tsr_submission& record = copy.record();
  record.src = a->id();
  record.dst = b->id();
  record.src_offset = 8;
  record.dst_offset = 16;
  record.bytes = 24;
  ASSERT_TRUE(queue->submit(record).ok());
  ASSERT_TRUE(timeline.wait(1).ok());
  for (unsigned char i = 0; i < 24; ++i) EXPECT_EQ(to[16 + i], 8 + i);
  EXPECT_EQ(to[15], 0xff);
  EXPECT_EQ(to[40], 0xff);

  copy.signal(0).value = 2;
  tsr_submission& again = copy.record();
  again.dst = a->id();  // overlapping
  ASSERT_TRUE(queue->submit(again).ok());
  ASSERT_TRUE(timeline.wait(2).ok());
  for (unsigned char i = 0; i < 24; ++i) EXPECT_EQ(from[16 + i], 8 + i);
}

INSTANTIATE_TEST_SUITE_P(All, OpenClMemory,
                         testing::Values("shared", "mapped", "copied"),
                         [](const auto& mode) {
                           return std::string(mode.param);
                         });

TEST(OpenClDevice, RefusesUnknownOptionsByName) {
  TSR_OPEN_OR_SKIP(device, {});
  EXPECT_THAT(try_open({{"speed", "9"}}).status().message(),
              HasSubstr("no option speed"));
  EXPECT_THAT(try_open({{"memory", "near"}}).status().message(),
              HasSubstr("option memory=near is not auto, shared"));
}

TEST(OpenClDevice, AProfileHasTheTimeOfEveryOp) {
  TSR_OPEN_OR_SKIP(device, {});
  std::mt19937 rng(42);
  const TestTensor a(*device, TSR_F32, 4, 64, rng);
  const TestTensor y(*device, TSR_F32, 4, 64);
  OpRunner op(device);
  tsr_op_elementwise map{};
  map.op.kind = TSR_OP_ADD;
  map.a = map.b = op.add(a);
  map.y = op.add(y);
  op.program().add_op(map);
  op.step().flags = TSR_SUBMIT_PROFILE;
  ASSERT_TRUE(op.run(4).ok());
  const auto records = device->profile_read();
  ASSERT_TRUE(records.ok());
  ASSERT_EQ(records->size(), 1u);
  EXPECT_STREQ(records->front().kernel, "add");
  EXPECT_LT(records->front().begin_ns, records->front().end_ns);
}

}  // namespace
}  // namespace tessera::opencl
