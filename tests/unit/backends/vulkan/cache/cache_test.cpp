// SPDX-License-Identifier: Apache-2.0
//
// What is kept on disk per device and driver: the rates that estimates go by,
// and pipelines.

#include <unistd.h>

#include <filesystem>
#include <iterator>
#include <thread>

#include "tests/unit/backends/device/device_under_test.hpp"
#include "tests/unit/backends/device/op_runner.hpp"

namespace tessera::device_test {

DeviceUnderTest device_under_test() {
  return {"vulkan:0", "vulkan-cache-of-" + std::to_string(getpid()), {}};
}

namespace {

// Of this process alone, for others may run the same tests.
std::filesystem::path root() {
  return std::filesystem::path(TSR_BINARY_DIR) /
         device_under_test().cache_folder;
}

// y = a + a over 64 tokens.
double estimated_ns(const std::shared_ptr<Device>& device) {
  ProgramBuilder program;
  tsr_tensor tensor{};
  tensor.struct_size = sizeof(tensor);
  tensor.dtype = TSR_F32;
  tensor.rank = 2;
  tensor.view_of = TSR_NONE;
  tensor.dims[0] = {64, TSR_DIM_FIXED};
  tensor.dims[1] = {4096, TSR_DIM_FIXED};
  tsr_op_elementwise add{};
  add.op.kind = TSR_OP_ADD;
  add.a = add.b = program.add_tensor(tensor);
  add.y = program.add_tensor(tensor);
  program.add_op(add);
  tsr_step_shape step{};
  step.struct_size = sizeof(step);
  step.num_tokens = step.num_seqs = 1;
  const auto estimate = device->estimate(program.build(), {}, {}, step);
  EXPECT_TRUE(estimate.ok()) << estimate.status().message();
  return estimate.ok() ? static_cast<double>(estimate->mean_ns) : 0.0;
}

// Every test begins with an empty folder.
class VulkanCache : public testing::Test {
 protected:
  static void TearDownTestSuite() { std::filesystem::remove_all(root()); }
  void SetUp() override {
    const auto device = try_open({});
    if (device.status().code() == TSR_UNAVAILABLE) {
      GTEST_SKIP() << device.status().message();
    }
    ASSERT_TRUE(device.ok()) << device.status().message();
  }
  void TearDown() override {
    if (!std::filesystem::exists(root())) return;
    for (const auto& folder : std::filesystem::directory_iterator(root())) {
      for (const auto& entry :
           std::filesystem::directory_iterator(folder.path())) {
        std::filesystem::remove_all(entry.path());
      }
    }
  }

  // The only file whose name begins so.
  std::filesystem::path file(const std::string& begin) const {
    std::vector<std::filesystem::path> found;
    for (const auto& entry :
         std::filesystem::recursive_directory_iterator(root())) {
      const std::string name = entry.path().filename().string();
      if (name.rfind(begin, 0) == 0) found.push_back(entry.path());
    }
    EXPECT_EQ(found.size(), 1u) << begin;
    return found.empty() ? std::filesystem::path() : found[0];
  }
  double estimate_anew() const {
    const auto device = try_open({});
    EXPECT_TRUE(device.ok()) << device.status().message();
    return device.ok() ? estimated_ns(*device) : 0.0;
  }
};

// Two measurements would differ.
TEST_F(VulkanCache, RatesAreMeasuredOnce) {
  const double first = estimate_anew();
  EXPECT_GT(first, 0.0);
  EXPECT_EQ(estimate_anew(), first);
}

TEST_F(VulkanCache, WhatIsNotAsItWasWrittenIsMadeAgain) {
  const double first = estimate_anew();
  for (const char* name : {"rates-", "pipelines-"}) {
    std::filesystem::resize_file(file(name), 20);
  }
  const double second = estimate_anew();
  EXPECT_GT(second, 0.0);
  EXPECT_NE(second, first);
  EXPECT_EQ(estimate_anew(), second);
}

TEST_F(VulkanCache, AFileThatCannotBeReplacedIsNoError) {
  estimate_anew();
  for (const char* name : {"rates-", "pipelines-"}) {
    const auto path = file(name);
    std::filesystem::remove(path);
    std::filesystem::create_directories(path / "in the way");
  }
  EXPECT_GT(estimate_anew(), 0.0);
  const auto folder = file("rates-").parent_path();
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder), {}), 2)
      << "a draft was left behind";
}

TEST_F(VulkanCache, SeveralDevicesMayOpenAndCloseAtOnce) {
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([this] { EXPECT_GT(estimate_anew(), 0.0); });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(estimate_anew(), estimate_anew());
  file("rates-");
  file("pipelines-");
}

}  // namespace
}  // namespace tessera::device_test
