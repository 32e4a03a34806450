// SPDX-License-Identifier: Apache-2.0
//
// Where tensors lie, copies, and what a device says of itself.

#include <gmock/gmock.h>

#include <cstring>

#include "framework/host/timeline.hpp"
#include "tests/unit/backends/vulkan/device/attention_case.hpp"
#include "tests/unit/backends/vulkan/device/linear_case.hpp"

namespace tessera::vulkan {
namespace {

using testing::HasSubstr;

TEST(VulkanMemory, CopiesMoveBytesBetweenAndWithinBuffers) {
  TSR_OPEN_OR_SKIP(device, {});
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

// y = a + a, each tensor at its own place of a buffer.
Status add_to_itself(const std::shared_ptr<Device>& device, uint64_t buffer,
                     uint64_t a_offset, uint64_t y_offset) {
  OpRunner runner(device);
  ProgramBuilder& program = runner.program();
  tsr_tensor tensor{};
  tensor.struct_size = sizeof(tensor);
  tensor.dtype = TSR_F32;
  tensor.rank = 2;
  tensor.view_of = TSR_NONE;
  tensor.dims[0] = {4, TSR_DIM_FIXED};
  tensor.dims[1] = {16, TSR_DIM_FIXED};
  tsr_op_elementwise add{};
  add.op.kind = TSR_OP_ADD;
  add.a = add.b = program.add_tensor(tensor);
  add.y = program.add_tensor(tensor);
  program.bind(add.a, buffer, a_offset);
  program.bind(add.y, buffer, y_offset);
  program.add_op(add);
  return runner.run(1);
}

void expect_doubled(const std::shared_ptr<Device>& device, Buffer& buffer,
                    uint64_t a_offset, uint64_t y_offset) {
  auto* memory = static_cast<char*>(*buffer.map());
  auto* a = reinterpret_cast<float*>(memory + a_offset);
  for (int i = 0; i < 64; ++i) a[i] = static_cast<float>(i);
  const Status status = add_to_itself(device, buffer.id(), a_offset, y_offset);
  ASSERT_TRUE(status.ok()) << status.message();
  const auto* y = reinterpret_cast<const float*>(memory + y_offset);
  for (int i = 0; i < 64; ++i) ASSERT_EQ(y[i], static_cast<float>(2 * i));
}

// lavapipe binds no more than 128 MiB of a buffer.
TEST(VulkanMemory, TensorsMayLiePastTheLimitOfABinding) {
  TSR_OPEN_OR_SKIP(device, {});
  const auto kind = device->memory_kind_with(TSR_MEMORY_HOST_VISIBLE);
  ASSERT_TRUE(kind.ok());
  constexpr uint64_t kBytes = uint64_t{160} << 20;
  auto buffer = device->create_buffer(kBytes, *kind);
  ASSERT_TRUE(buffer.ok()) << buffer.status().message();
  expect_doubled(device, *buffer, kBytes - 256, 0);
  expect_doubled(device, *buffer, 4, kBytes - 512);
}

TEST(VulkanMemory, TheDeviceWorksInMemoryOfTheHosts) {
  TSR_OPEN_OR_SKIP(device, {});
  if (!device->memory_kind_with(TSR_MEMORY_IMPORT_HOST).ok()) {
    GTEST_SKIP() << "the driver imports no host memory";
  }
  std::vector<float> memory(5000);
  auto buffer = device->import_host(memory.data(), memory.size() * 4);
  ASSERT_TRUE(buffer.ok()) << buffer.status().message();
  for (size_t i = 0; i < 64; ++i) memory[i] = static_cast<float>(i);
  const Status status = add_to_itself(device, buffer->id(), 0, 4096);
  ASSERT_TRUE(status.ok()) << status.message();
  for (size_t i = 0; i < 64; ++i) {
    ASSERT_EQ(memory[1024 + i], static_cast<float>(2 * i));
  }
}

TEST(VulkanMemory, TooLargeABufferIsRefusedAndSmallerOnesStillWork) {
  TSR_OPEN_OR_SKIP(device, {});
  const auto kind = device->memory_kind_with(TSR_MEMORY_HOST_VISIBLE);
  ASSERT_TRUE(kind.ok());
  const auto refused = device->create_buffer(uint64_t{1} << 60, *kind);
  EXPECT_EQ(refused.status().code(), TSR_RESOURCE_EXHAUSTED);
  EXPECT_TRUE(device->create_buffer(64, *kind).ok());
}

TEST(VulkanDevice, RefusesUnknownOptionsByName) {
  TSR_OPEN_OR_SKIP(device, {});
  EXPECT_THAT(try_open({{"speed", "9"}}).status().message(),
              HasSubstr("no option speed"));
}

TEST(VulkanDevice, AProfileHasTheTimeOfEveryOp) {
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
}  // namespace tessera::vulkan
