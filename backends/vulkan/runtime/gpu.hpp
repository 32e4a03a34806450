// SPDX-License-Identifier: Apache-2.0
//
// One open logical device: its queues and how work gets there.

#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <string>
#include <vector>

#include "backends/vulkan/runtime/handle.hpp"
#include "backends/vulkan/runtime/instance.hpp"

namespace tessera::vulkan {

// Any thread.  Work goes to a lane of the plan: what is submitted to one runs
// in order, and sees all that anybody has waited for in any lane.
class Gpu {
 public:
  // Work that takes longer than `timeout_ns` is given up.  `plan` is of the
  // facts' queues.
  //
  // Errors   throws UNAVAILABLE if the device cannot be opened,
  //          RESOURCE_EXHAUSTED
  Gpu(const GpuFacts& facts, QueuePlan plan, uint64_t timeout_ns);
  ~Gpu();
  Gpu(const Gpu&) = delete;
  Gpu& operator=(const Gpu&) = delete;

  const GpuFacts& facts() const { return facts_; }
  VkDevice device() const { return device_; }
  const QueuePlan& plan() const { return plan_; }
  // Each lane of steps in turn.
  uint32_t next_compute_lane();

  // Runs recorded commands and returns when they are done.
  //
  // Errors   throws INTERNAL with TSR_DEVICE_LOST, from then on always;
  //          DEADLINE_EXCEEDED with the same; RESOURCE_EXHAUSTED; INTERNAL with
  //          what a validation layer said
  void run(uint32_t lane, VkCommandBuffer commands);
  // The same in two steps: what submit() starts is done when wait() of its
  // value returns, as is all that was submitted to the lane before.  Of 0: at
  // once.
  uint64_t submit(uint32_t lane, VkCommandBuffer commands);
  void wait(uint32_t lane, uint64_t value);
  // The same as run() for commands that are recorded for this one time.
  void run_once(uint32_t lane,
                const std::function<void(VkCommandBuffer)>& record);
  // Throws as check_vk does; a loss is remembered.
  void check(VkResult code, const std::string& what);
  // Throws INTERNAL with TSR_DEVICE_LOST once work was lost or given up.
  void require_alive() const;
  // Returns when nothing runs any more that was given up: before what it uses
  // is destroyed.
  void settle();

  // Of commands for that lane, and for the others of its family.
  PoolHandle make_pool(uint32_t lane) const;

 private:
  struct Lane {
    VkQueue queue = VK_NULL_HANDLE;
    std::mutex own_mutex;
    std::mutex* mutex = &own_mutex;  // of the queue, which lanes may share
    SemaphoreHandle done;            // counts submissions
    uint64_t submitted = 0;
    std::atomic<uint64_t> waited_for{0};
    std::array<uint64_t, kMostLanes> seen{};  // of the other lanes' values
    std::mutex once_mutex;
    PoolHandle pool;
    VkCommandBuffer once = VK_NULL_HANDLE;  // of the pool, for run_once
  };
  struct Waits;

  void make_lanes();
  Waits find_waits(uint32_t lane) const;
  void wait_idle(Lane& lane);

  const GpuFacts& facts_;
  QueuePlan plan_;
  uint64_t timeout_ns_;
  std::atomic<bool> is_lost_{false};
  VkDevice device_ = VK_NULL_HANDLE;
  std::deque<Lane> lanes_;  // as the plan's
  std::atomic<uint32_t> lanes_given_{0};
};

VkCommandBuffer allocate_commands(VkDevice device, VkCommandPool pool);
void begin_commands(VkCommandBuffer commands, VkCommandBufferUsageFlags usage);

// Later commands see what earlier ones and the host wrote, and the other way
// round.
void add_barrier(VkCommandBuffer commands);
// The same between copies, on a queue that may know nothing of shaders.
void add_copy_barrier(VkCommandBuffer commands);

}  // namespace tessera::vulkan
