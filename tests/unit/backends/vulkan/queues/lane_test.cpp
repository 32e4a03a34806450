// SPDX-License-Identifier: Apache-2.0
//
// Lanes that are queues of the device do not wait for each other, and yet each
// sees what another has done.  A layer gives this machine's driver the families
// of another (pretended_queues.hpp); the Khronos layer, where it is installed,
// lies over that and sees whether buffers, command pools and barriers fit them.

#include <gtest/gtest.h>

#include <future>
#include <random>
#include <thread>

#include "backends/vulkan/runtime/staging_ring.hpp"
#include "tests/unit/backends/vulkan/faults/fault_layer.hpp"
#include "tests/unit/backends/vulkan/faults/pretended_queues.hpp"

namespace tessera::vulkan {
namespace {

namespace faults = vulkan_faults;

constexpr uint64_t kMinute = 60'000'000'000;
constexpr uint64_t kBytes = 3000;

// A queue that stands still.
class Held {
 public:
  explicit Held(const QueueId& queue) {
    faults::hold_queue(queue.family, queue.index);
  }
  Held(const Held&) = delete;
  Held& operator=(const Held&) = delete;
  ~Held() { faults::let_go(); }
};

class LaneTest : public testing::Test {
 protected:
  static void SetUpTestSuite() { faults::load_families_of("nvidia"); }
  void SetUp() override {
    const Instance& instance = Instance::get();
    if (instance.gpus().empty()) GTEST_SKIP() << instance.reason();
    const GpuFacts& facts = instance.gpus()[0];
    if (!facts.missing.empty()) GTEST_SKIP() << facts.missing;
    gpu_ = std::make_unique<Gpu>(facts, facts.queues, kMinute);
    ASSERT_TRUE(faults::is_loaded()) << "the loader does not know the layer";
    ASSERT_EQ(gpu_->plan().lanes.size(), 3U);
    ring_ = std::make_unique<StagingRing>(*gpu_, 1024, 3);
  }

  Gpu& gpu() { return *gpu_; }
  StagingRing& ring() { return *ring_; }
  const QueueId& queue(uint32_t lane) { return gpu().plan().lanes[lane]; }
  faults::Submissions seen(uint32_t lane) {
    return faults::submissions_to(queue(lane).family, queue(lane).index);
  }

  // Returns when the lane has been given the copy.
  std::future<void> start_copy(uint32_t lane, const Buffer& from,
                               const Buffer& to) {
    const uint64_t before = seen(lane).count;
    auto started = std::async(
        std::launch::async, [this, lane, &from, &to] { copy(lane, from, to); });
    while (seen(lane).count == before) std::this_thread::yield();
    return started;
  }
  void copy(uint32_t lane, const Buffer& from, const Buffer& to) {
    gpu().run_once(lane, [&](VkCommandBuffer commands) {
      const VkBufferCopy region{0, 0, kBytes};
      vkCmdCopyBuffer(commands, from.buffer(), to.buffer(), 1, &region);
    });
  }

 private:
  std::unique_ptr<Gpu> gpu_;
  std::unique_ptr<StagingRing> ring_;
};

std::vector<char> bytes_of(uint32_t seed) {
  std::mt19937 rng(seed);
  std::vector<char> bytes(kBytes);
  for (char& byte : bytes) byte = static_cast<char>(rng());
  return bytes;
}

TEST_F(LaneTest, CopiesPassAStepThatRuns) {
  const Buffer steps(gpu(), kBytes, Memory::kHost);
  const Buffer step_result(gpu(), kBytes, Memory::kHost);
  const Buffer sent(gpu(), kBytes, Memory::kHost);
  std::vector<char> words = bytes_of(1);
  std::fill_n(steps.host(), kBytes, 'a');
  std::fill_n(step_result.host(), kBytes, 'b');
  std::future<void> step;
  std::vector<char> back(kBytes);
  {
    const Held held(queue(0));
    step = start_copy(0, steps, step_result);
    ring().upload({{words.data(), {&sent, 0}, kBytes}});
    EXPECT_TRUE(std::equal(words.begin(), words.end(), sent.host()));
    ring().download({{back.data(), {&sent, 0}, kBytes}});
    EXPECT_EQ(step_result.host()[0], 'b') << "the step has not run yet";
  }
  EXPECT_EQ(back, words);
  step.get();
  EXPECT_EQ(step_result.host()[0], 'a');
}

TEST_F(LaneTest, ASecondSessionPassesTheFirst) {
  const Buffer from(gpu(), kBytes, Memory::kHost);
  const Buffer first(gpu(), kBytes, Memory::kHost);
  const Buffer second(gpu(), kBytes, Memory::kHost);
  std::fill_n(from.host(), kBytes, 'a');
  std::fill_n(first.host(), kBytes, 'b');
  std::fill_n(second.host(), kBytes, 'b');
  const uint32_t lane = gpu().next_compute_lane();
  const uint32_t other = gpu().next_compute_lane();
  ASSERT_NE(lane, other);
  ASSERT_EQ(gpu().next_compute_lane(), lane);
  std::future<void> step;
  {
    const Held held(queue(lane));
    step = start_copy(lane, from, first);
    copy(other, from, second);
    EXPECT_EQ(second.host()[0], 'a');
    EXPECT_EQ(first.host()[0], 'b');
  }
  step.get();
  EXPECT_EQ(first.host()[0], 'a');
}

// That the host has waited for what another queue wrote does not make it
// visible, so the next submission waits too: for each lane that has gone on
// since, once.
TEST_F(LaneTest, ASubmissionWaitsForWhatOthersHaveFinished) {
  const Buffer first(gpu(), kBytes, Memory::kDevice);
  const Buffer second(gpu(), kBytes, Memory::kDevice);
  const uint32_t copies = gpu().plan().copy_lane();
  std::vector<char> words = bytes_of(2);
  ring().upload({{words.data(), {&first, 0}, kBytes}});
  copy(0, first, second);
  EXPECT_EQ(seen(0).last_waits, 1U);
  copy(0, first, second);
  EXPECT_EQ(seen(0).last_waits, 0U);
  copy(1, first, second);
  EXPECT_EQ(seen(1).last_waits, 2U);
  ring().download({{words.data(), {&first, 0}, 1}});
  EXPECT_EQ(seen(copies).last_waits, 2U);
}

// Bytes go up, through both lanes of steps, and down, in six threads at once,
// while queues go on in any order.
TEST_F(LaneTest, EachLaneSeesWhatTheOthersWrote) {
  std::vector<std::future<void>> threads;
  for (uint32_t t = 0; t < 6; ++t) {
    threads.push_back(std::async(std::launch::async, [&, t] {
      const Buffer up(gpu(), kBytes, Memory::kDevice);
      const Buffer between(gpu(), kBytes, Memory::kDevice);
      const Buffer down(gpu(), kBytes, Memory::kDevice);
      for (uint32_t round = 0; round < 20; ++round) {
        std::vector<char> sent = bytes_of(t * 100 + round);
        std::vector<char> found(kBytes);
        ring().upload({{sent.data(), {&up, 0}, kBytes}});
        copy(t % 2, up, between);
        copy(1 - t % 2, between, down);
        ring().download({{found.data(), {&down, 0}, kBytes}});
        ASSERT_EQ(sent, found);
      }
    }));
  }
  for (auto& thread : threads) thread.get();
}

}  // namespace
}  // namespace tessera::vulkan
