// SPDX-License-Identifier: Apache-2.0
//
// Where tensors may lie.

#include "tests/unit/backends/device/op_runner.hpp"

namespace tessera::device_test {
namespace {

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

}  // namespace
}  // namespace tessera::device_test
