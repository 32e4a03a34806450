// SPDX-License-Identifier: Apache-2.0
//
// Copies of any size and place by a ring of any size move those bytes and no
// other, from many threads at once, and a driver that fails on the way leaves
// nothing running.  The device's side are buffers that the host sees too, which
// are looked at without the ring.

#include "backends/vulkan/runtime/staging_ring.hpp"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <algorithm>
#include <random>
#include <string>
#include <thread>

#include "tests/unit/backends/vulkan/faults/fault_layer.hpp"

namespace tessera::vulkan {
namespace {

namespace faults = vulkan_faults;

constexpr uint64_t kMinute = 60'000'000'000;
constexpr uint64_t kSlot = 4096;
constexpr uint32_t kSlots = 3;
constexpr char kUntouched = 0x5a;

std::vector<char> random_bytes(uint64_t count, uint32_t seed) {
  std::vector<char> bytes(count);
  std::mt19937 rng(seed);
  for (char& byte : bytes) byte = static_cast<char>(rng());
  return bytes;
}

// A buffer on the device that holds `bytes` everywhere.
class Target {
 public:
  Target(Gpu& gpu, uint64_t bytes)
      : buffer_(gpu, bytes, Memory::kHost), bytes_(bytes) {
    fill({});
  }
  // Of `bytes` from the first on; what is beyond is kUntouched.
  void fill(const std::vector<char>& bytes) {
    std::fill_n(buffer_.host(), bytes_, kUntouched);
    std::copy(bytes.begin(), bytes.end(), buffer_.host());
  }
  BufferRange at(uint64_t offset) const { return {&buffer_, offset}; }
  std::vector<char> bytes() const {
    return {buffer_.host(), buffer_.host() + bytes_};
  }

 private:
  Buffer buffer_;
  uint64_t bytes_;
};

class StagingRingTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    setenv("VK_ADD_LAYER_PATH", TSR_LAYER_FOLDER, 1);
    setenv("VK_INSTANCE_LAYERS",
           "VK_LAYER_TSR_faults:VK_LAYER_KHRONOS_validation", 1);
  }
  void SetUp() override {
    const Instance& instance = Instance::get();
    if (instance.gpus().empty()) GTEST_SKIP() << instance.reason();
    if (!instance.gpus()[0].missing.empty()) {
      GTEST_SKIP() << instance.gpus()[0].missing;
    }
    faults::fail_nothing();
    gpu_ = open();
  }
  void TearDown() override { faults::fail_nothing(); }

  static std::unique_ptr<Gpu> open() {
    const GpuFacts& facts = Instance::get().gpus()[0];
    return std::make_unique<Gpu>(facts, emulated_lanes(facts.queues), kMinute);
  }
  Gpu& gpu() { return *gpu_; }

 private:
  std::unique_ptr<Gpu> gpu_;
};

// Sizes around a slot, around the ring, and beyond both.
TEST_F(StagingRingTest, MovesTheBytesOfACopyAndNoOther) {
  StagingRing ring(gpu(), kSlot, kSlots);
  constexpr uint64_t kRoom = 64;
  for (const uint64_t bytes :
       {uint64_t{0}, uint64_t{1}, uint64_t{15}, uint64_t{16}, uint64_t{17},
        kSlot - 1, kSlot, kSlot + 1, kSlots * kSlot - 1, kSlots * kSlot,
        kSlots * kSlot + 1, 25 * kSlot + 77}) {
    for (const uint64_t offset : {0, 1, 19}) {
      SCOPED_TRACE(std::to_string(bytes) + " at " + std::to_string(offset));
      Target target(gpu(), bytes + kRoom);
      std::vector<char> host = random_bytes(bytes + kRoom, 1);
      std::vector<char> wanted(bytes + kRoom, kUntouched);
      std::copy_n(host.begin() + 3, bytes, wanted.begin() + offset);
      ring.upload({{host.data() + 3, target.at(offset), bytes}});
      ASSERT_EQ(target.bytes(), wanted);

      const std::vector<char> held = random_bytes(bytes + kRoom, 2);
      target.fill(held);
      wanted = host;
      std::copy_n(held.begin() + offset, bytes, wanted.begin() + 7);
      ring.download({{host.data() + 7, target.at(offset), bytes}});
      ASSERT_EQ(host, wanted);
    }
  }
}

// Pieces as a KV block has them, among them empty ones and some that a slot
// cuts in two.
TEST_F(StagingRingTest, TakesManyCopiesInOrder) {
  StagingRing ring(gpu(), kSlot, kSlots);
  constexpr uint64_t kRoom = 1'000'000;
  Target target(gpu(), kRoom);
  std::vector<char> host = random_bytes(kRoom, 3);
  std::vector<char> wanted(kRoom, kUntouched);
  std::vector<HostCopy> copies;
  std::mt19937 rng(42);
  uint64_t place = 5;
  for (int i = 0; i < 300; ++i) {
    const uint64_t bytes = i % 7 == 0 ? 0 : rng() % (i % 11 == 0 ? 9000 : 300);
    const uint64_t from = rng() % (kRoom - bytes);
    copies.push_back({host.data() + from, target.at(place), bytes});
    std::copy_n(host.begin() + from, bytes, wanted.begin() + place);
    place += bytes + rng() % 20;
  }
  ASSERT_LT(place, kRoom);
  ring.upload(copies);
  ASSERT_EQ(target.bytes(), wanted);
  // What comes later wins.
  ring.upload({{host.data(), target.at(100), 9000},
               {host.data() + 9000, target.at(4000), 300}});
  std::copy_n(host.begin(), 9000, wanted.begin() + 100);
  std::copy_n(host.begin() + 9000, 300, wanted.begin() + 4000);
  ASSERT_EQ(target.bytes(), wanted);
}

// More than lavapipe binds of a buffer, in slots as a device has them.
TEST_F(StagingRingTest, GoesPastTheLimitOfABinding) {
  StagingRing ring(gpu(), uint64_t{4} << 20, 4);
  constexpr uint64_t kBytes = (uint64_t{160} << 20) + 3;
  Target target(gpu(), kBytes + 2);
  std::vector<char> host = random_bytes(kBytes, 4);
  ring.upload({{host.data(), target.at(1), kBytes}});
  std::vector<char> wanted(kBytes + 2, kUntouched);
  std::copy(host.begin(), host.end(), wanted.begin() + 1);
  ASSERT_TRUE(target.bytes() == wanted);
  std::vector<char> back(kBytes);
  ring.download({{back.data(), target.at(1), kBytes}});
  ASSERT_TRUE(back == host);
}

// More threads than slots, each with copies of several slots both ways: none
// waits for another for ever, and none sees another's bytes.
TEST_F(StagingRingTest, ServesManyThreads) {
  StagingRing ring(gpu(), kSlot, 2);
  std::vector<std::thread> threads;
  std::vector<int> wrong(6);
  for (uint32_t t = 0; t < wrong.size(); ++t) {
    threads.emplace_back([&, t] {
      std::mt19937 rng(t);
      for (uint32_t round = 0; round < 20; ++round) {
        const uint64_t bytes = 1 + rng() % (5 * kSlot);
        const Target target(gpu(), bytes + 1);
        std::vector<char> sent = random_bytes(bytes, t * 100 + round);
        std::vector<char> found(bytes);
        ring.upload({{sent.data(), target.at(1), bytes}});
        ring.download({{found.data(), target.at(1), bytes}});
        wrong[t] += sent == found ? 0 : 1;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, std::vector<int>(wrong.size()));
}

// Copies there and back by a ring of their own; the code that failed.
tsr_status copy_both_ways(Gpu& gpu, StagingRing& ring) {
  try {
    constexpr uint64_t kBytes = 5 * kSlot;
    const Target target(gpu, kBytes);
    std::vector<char> sent = random_bytes(kBytes, 5);
    std::vector<char> found(kBytes);
    ring.upload({{sent.data(), target.at(0), kBytes}});
    ring.download({{found.data(), target.at(0), kBytes}});
    EXPECT_EQ(sent, found);
    return TSR_OK;
  } catch (const sdk::Error& error) {
    return error.code();
  }
}

// Each call fails in turn, in the ring's first copy and in those that follow.
TEST_F(StagingRingTest, RunningOutOfMemoryLeavesTheRingAsItWas) {
  ASSERT_TRUE(faults::is_loaded()) << "the loader does not know the layer";
  uint32_t failures = 0;
  for (const char* function :
       {"vkAllocateMemory", "vkCreateBuffer", "vkCreateCommandPool",
        "vkAllocateCommandBuffers", "vkResetCommandPool",
        "vkBeginCommandBuffer", "vkEndCommandBuffer", "vkQueueSubmit",
        "vkWaitSemaphores"}) {
    bool failed = true;
    for (uint32_t nth = 0; failed; ++nth) {
      SCOPED_TRACE(std::string(function) + ", call " + std::to_string(nth));
      StagingRing ring(gpu(), kSlot, kSlots);
      faults::fail_call(function, nth, VK_ERROR_OUT_OF_DEVICE_MEMORY);
      const tsr_status status = copy_both_ways(gpu(), ring);
      failed = faults::has_failed();
      faults::fail_nothing();
      ASSERT_EQ(status, failed ? TSR_RESOURCE_EXHAUSTED : TSR_OK);
      failures += failed ? 1 : 0;
      ASSERT_EQ(copy_both_ways(gpu(), ring), TSR_OK);
    }
  }
  EXPECT_GT(failures, 50U);
}

TEST_F(StagingRingTest, ALostDeviceIsSaidOnTheWayAndFromThenOn) {
  ASSERT_TRUE(faults::is_loaded());
  for (const char* function : {"vkQueueSubmit", "vkWaitSemaphores"}) {
    for (uint32_t nth = 0; nth < 8; ++nth) {
      SCOPED_TRACE(std::string(function) + ", call " + std::to_string(nth));
      const auto lost = open();
      StagingRing ring(*lost, kSlot, kSlots);
      faults::fail_call(function, nth, VK_ERROR_DEVICE_LOST);
      EXPECT_EQ(copy_both_ways(*lost, ring), TSR_INTERNAL);
      ASSERT_TRUE(faults::has_failed());
      EXPECT_EQ(copy_both_ways(*lost, ring), TSR_INTERNAL);
    }
  }
  StagingRing ring(gpu(), kSlot, kSlots);
  EXPECT_EQ(copy_both_ways(gpu(), ring), TSR_OK);
}

}  // namespace
}  // namespace tessera::vulkan
