// SPDX-License-Identifier: Apache-2.0
//
// Whatever a driver's call fails with becomes a status that says what the
// caller may do, and nothing is left behind: the next use of the device works.
// Where the Khronos layer is installed it lies under the faults and sees every
// object that is used wrongly or outlives its device; what it says fails that
// next use.

#include <gtest/gtest.h>
#include <stdlib.h>

#include <optional>

#include "tests/unit/backends/device/linear_case.hpp"
#include "tests/unit/backends/vulkan/faults/fault_layer.hpp"

namespace tessera::device_test {
namespace {

namespace faults = vulkan_faults;

constexpr uint32_t kRows = 3;
constexpr uint32_t kFeatures = 128;

// A device with a program of one linear, and what it needs.
struct Work {
  std::shared_ptr<Device> device;
  std::vector<std::vector<float>> imported;  // where all is staged
  std::optional<Weight> weight;
  std::vector<Buffer> buffers;
  std::optional<OpRunner> op;
  std::optional<RepeatedStep> steps;
};

enum class Memory { kOfTheDevice, kStaged };

Result<Buffer> make_buffer(Work& work, Memory memory) {
  constexpr uint64_t kBytes = uint64_t{4} * kRows * kFeatures;
  if (memory == Memory::kStaged) {
    auto& imported = work.imported.emplace_back(kRows * kFeatures);
    return work.device->import_host(imported.data(), kBytes);
  }
  TSR_ASSIGN_OR_RETURN(const uint32_t kind,
                       work.device->memory_kind_with(TSR_MEMORY_HOST_VISIBLE));
  return work.device->create_buffer(kBytes, kind);
}

Result<uint32_t> add_tensor(Work& work, Memory memory) {
  TSR_ASSIGN_OR_RETURN(Buffer buffer, make_buffer(work, memory));
  tsr_tensor tensor{};
  tensor.dtype = TSR_F32;
  tensor.view_of = TSR_NONE;
  tensor.rank = 2;
  tensor.dims[0] = {kRows, TSR_DIM_TOKENS};
  tensor.dims[1] = {kFeatures, TSR_DIM_FIXED};
  const uint32_t id = work.op->program().add_tensor(tensor);
  work.op->program().bind(id, buffer.id(), 0);
  work.buffers.push_back(std::move(buffer));
  return id;
}

Status prepare(Work& work, Memory memory = Memory::kOfTheDevice) {
  const Options options = {
      {"staging", memory == Memory::kStaged ? "always" : "needed"}};
  TSR_ASSIGN_OR_RETURN(work.device, try_open(options));
  std::mt19937 rng(42);
  const auto planes =
      random_weight(weight_kind("i8_channel"), kFeatures, kFeatures, rng);
  TSR_ASSIGN_OR_RETURN(work.weight,
                       work.device->load_weight(planes.view().desc()));
  work.op.emplace(work.device);
  tsr_op_linear linear{};
  linear.op.kind = TSR_OP_LINEAR;
  linear.weight = work.op->program().add_weight(work.weight->id());
  TSR_ASSIGN_OR_RETURN(linear.x, add_tensor(work, memory));
  TSR_ASSIGN_OR_RETURN(linear.y, add_tensor(work, memory));
  linear.bias = linear.multiplier = linear.residual = TSR_NONE;
  linear.act_quant = TSR_ACT_I8_DYNAMIC;
  work.op->program().add_op(linear);
  work.op->step().flags = TSR_SUBMIT_PROFILE;
  TSR_ASSIGN_OR_RETURN(work.steps, work.op->prepare(kRows));
  return {};
}

// What the device says of the step, as a session asks it.
Status run_step(Work& work) {
  const Status done = work.steps->run();
  return done.ok() ? done : work.device->explain(done);
}

// Copies one buffer to the other, by commands made for this once.
Status copy_once(Work& work) {
  TSR_ASSIGN_OR_RETURN(Queue queue, work.device->create_queue());
  Timeline timeline;
  TSR_ASSIGN_OR_RETURN(const uint64_t id, timeline.import_into(work.device));
  SubmissionBuilder copy(TSR_SUBMIT_COPY);
  copy.record().src = work.buffers[0].id();
  copy.record().dst = work.buffers[1].id();
  copy.record().bytes = kFeatures;
  copy.add_signal({id, 1});
  TSR_RETURN_IF_ERROR(queue.submit(copy.record()));
  const Status done = timeline.wait(1);
  return done.ok() ? done : work.device->explain(done);
}

// Opens the device, loads, copies, records, runs twice, closes.
Status use_device(Memory memory = Memory::kOfTheDevice) {
  Work work;
  TSR_RETURN_IF_ERROR(prepare(work, memory));
  TSR_RETURN_IF_ERROR(copy_once(work));
  TSR_RETURN_IF_ERROR(run_step(work));
  return run_step(work);
}

// The same, then with every byte of the host's on its way through the ring.
Status use_device_both_ways() {
  TSR_RETURN_IF_ERROR(use_device());
  return use_device(Memory::kStaged);
}

class VulkanFault : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    setenv("VK_ADD_LAYER_PATH", TSR_LAYER_FOLDER, 1);
    setenv("VK_INSTANCE_LAYERS",
           "VK_LAYER_TSR_faults:VK_LAYER_KHRONOS_validation", 1);
  }
  void SetUp() override {
    faults::fail_nothing();
    const Status works = use_device();
    if (works.code() == TSR_UNAVAILABLE) GTEST_SKIP() << works.message();
    ASSERT_TRUE(works.ok()) << works.message();
    ASSERT_TRUE(faults::is_loaded()) << "the loader does not know the layer";
  }
  void TearDown() override {
    faults::fail_nothing();
    if (!faults::is_loaded()) return;
    const Status works = use_device();
    EXPECT_TRUE(works.ok()) << works.message();
  }
};

// Every call of each function fails in turn, while everything else works.
TEST_F(VulkanFault, EveryCallMayRunOutOfMemory) {
  uint32_t failures = 0;
  for (const std::string& function : faults::functions()) {
    for (uint32_t nth = 0;; ++nth) {
      SCOPED_TRACE(function + ", call " + std::to_string(nth));
      faults::fail_call(function, nth, VK_ERROR_OUT_OF_DEVICE_MEMORY);
      const Status status = use_device_both_ways();
      if (!faults::has_failed()) {
        EXPECT_TRUE(status.ok()) << status.message();
        EXPECT_GT(nth, 0U) << "never called";
        break;
      }
      ++failures;
      ASSERT_EQ(status.code(), TSR_RESOURCE_EXHAUSTED) << status.message();
      ASSERT_NE(status.message().find("VkResult -2"), std::string::npos)
          << status.message();
    }
  }
  EXPECT_GT(failures, faults::functions().size());
}

TEST_F(VulkanFault, RunningOutOfMemoryIsNoLoss) {
  Work work;
  ASSERT_TRUE(prepare(work).ok());
  for (const char* function : {"vkQueueSubmit", "vkWaitSemaphores"}) {
    faults::fail_call(function, 0, VK_ERROR_OUT_OF_HOST_MEMORY);
    EXPECT_EQ(run_step(work).code(), TSR_RESOURCE_EXHAUSTED) << function;
    EXPECT_EQ(work.device->last_retry(), uint32_t{TSR_RETRY_SMALLER});
    EXPECT_FALSE(work.device->is_lost());
    // Its timeline keeps the failure; another program of the device does not.
    const Status again = work.op->run(kRows);
    EXPECT_TRUE(again.ok()) << function << ": " << again.message();
    auto steps = work.op->prepare(kRows);
    ASSERT_TRUE(steps.ok()) << steps.status().message();
    work.steps = std::move(*steps);
  }
}

class VulkanLoss : public VulkanFault,
                   public testing::WithParamInterface<Memory> {};

TEST_P(VulkanLoss, ALostDeviceIsLostUntilItIsOpenedAnew) {
  for (const char* function :
       {"vkQueueSubmit", "vkWaitSemaphores", "vkGetQueryPoolResults"}) {
    SCOPED_TRACE(function);
    Work work;
    ASSERT_TRUE(prepare(work, GetParam()).ok());
    ASSERT_TRUE(run_step(work).ok());
    faults::fail_call(function, 0, VK_ERROR_DEVICE_LOST);
    const Status lost = run_step(work);
    EXPECT_EQ(lost.code(), TSR_INTERNAL);
    EXPECT_NE(lost.message().find(function), std::string::npos)
        << lost.message();
    EXPECT_TRUE(work.device->is_lost());
    EXPECT_EQ(run_step(work).code(), TSR_INTERNAL);
    EXPECT_EQ(work.device->last_retry(), uint32_t{TSR_DEVICE_LOST});
    const Status another = use_device();
    EXPECT_TRUE(another.ok()) << another.message();
  }
}

INSTANTIATE_TEST_SUITE_P(All, VulkanLoss,
                         testing::Values(Memory::kOfTheDevice, Memory::kStaged),
                         [](const auto& memory) {
                           return memory.param == Memory::kStaged
                                      ? "staged"
                                      : "ofTheDevice";
                         });

TEST_F(VulkanFault, WorkThatTakesTooLongLosesTheDevice) {
  Work work;
  ASSERT_TRUE(prepare(work).ok());
  faults::fail_call("vkWaitSemaphores", 0, VK_TIMEOUT);
  const Status late = run_step(work);
  EXPECT_EQ(late.code(), TSR_DEADLINE_EXCEEDED) << late.message();
  EXPECT_TRUE(work.device->is_lost());
  EXPECT_EQ(work.op->run(kRows).code(), TSR_INTERNAL);
}

// No fault: the driver's own clock runs out.
TEST_F(VulkanFault, TheTimeoutIsAnOption) {
  EXPECT_EQ(try_open({{"timeout_ms", "soon"}}).status().message(),
            "vulkan: device_open: vulkan: option timeout_ms=soon is no "
            "number of milliseconds from 1 on");
  const auto device = try_open({{"timeout_ms", "60000"}});
  EXPECT_TRUE(device.ok()) << device.status().message();
}

}  // namespace
}  // namespace tessera::device_test
