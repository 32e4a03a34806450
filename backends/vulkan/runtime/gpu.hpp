// SPDX-License-Identifier: Apache-2.0
//
// One open logical device: its queue and how work gets there.

#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string>

#include "backends/vulkan/runtime/handle.hpp"
#include "backends/vulkan/runtime/instance.hpp"

namespace tessera::vulkan {

// Any thread.
class Gpu {
 public:
  // Work that takes longer than `timeout_ns` is given up.
  //
  // Errors   throws UNAVAILABLE if the device cannot be opened,
  //          RESOURCE_EXHAUSTED
  Gpu(const GpuFacts& facts, uint64_t timeout_ns);
  ~Gpu();
  Gpu(const Gpu&) = delete;
  Gpu& operator=(const Gpu&) = delete;

  const GpuFacts& facts() const { return facts_; }
  VkDevice device() const { return device_; }

  // Runs recorded commands and returns when they are done.
  //
  // Errors   throws INTERNAL with TSR_DEVICE_LOST, from then on always;
  //          DEADLINE_EXCEEDED with the same; RESOURCE_EXHAUSTED; INTERNAL with
  //          what a validation layer said
  void run(VkCommandBuffer commands);
  // The same in two steps: what submit() starts is done when wait() of its
  // value returns, as is all that was submitted before.  Of 0: at once.
  uint64_t submit(VkCommandBuffer commands);
  void wait(uint64_t value);
  // The same for commands that are recorded for this one time.
  void run_once(const std::function<void(VkCommandBuffer)>& record);
  // Throws as check_vk does; a loss is remembered.
  void check(VkResult code, const std::string& what);
  // Throws INTERNAL with TSR_DEVICE_LOST once work was lost or given up.
  void require_alive() const;
  // Returns when nothing runs any more that was given up: before what it uses
  // is destroyed.
  void settle();

  PoolHandle make_pool() const;

 private:
  void make_objects();

  const GpuFacts& facts_;
  uint64_t timeout_ns_;
  std::atomic<bool> is_lost_{false};
  VkDevice device_ = VK_NULL_HANDLE;
  VkQueue queue_ = VK_NULL_HANDLE;
  std::mutex queue_mutex_;
  SemaphoreHandle done_;  // counts submissions
  uint64_t submitted_ = 0;
  std::mutex pool_mutex_;
  PoolHandle pool_;
  VkCommandBuffer once_ = VK_NULL_HANDLE;  // of pool_, for run_once
};

VkCommandBuffer allocate_commands(VkDevice device, VkCommandPool pool);
void begin_commands(VkCommandBuffer commands, VkCommandBufferUsageFlags usage);

// Later commands see what earlier ones and the host wrote, and the other way
// round.
void add_barrier(VkCommandBuffer commands);

}  // namespace tessera::vulkan
