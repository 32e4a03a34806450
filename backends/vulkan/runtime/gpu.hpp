// SPDX-License-Identifier: Apache-2.0
//
// One open logical device: its queue and how work gets there.

#pragma once

#include <functional>
#include <mutex>

#include "backends/vulkan/runtime/handle.hpp"
#include "backends/vulkan/runtime/instance.hpp"

namespace tessera::vulkan {

// Any thread.
class Gpu {
 public:
  // Throws UNAVAILABLE if the device cannot be opened.
  explicit Gpu(const GpuFacts& facts);
  ~Gpu();
  Gpu(const Gpu&) = delete;
  Gpu& operator=(const Gpu&) = delete;

  const GpuFacts& facts() const { return facts_; }
  VkDevice device() const { return device_; }

  // Runs recorded commands and returns when they are done.
  //
  // Errors   throws INTERNAL with TSR_DEVICE_LOST, or with what a validation
  //          layer said
  void run(VkCommandBuffer commands);
  // The same for commands that are recorded for this one time.
  void run_once(const std::function<void(VkCommandBuffer)>& record);

  PoolHandle make_pool() const;

 private:
  const GpuFacts& facts_;
  VkDevice device_ = VK_NULL_HANDLE;
  VkQueue queue_ = VK_NULL_HANDLE;
  std::mutex queue_mutex_;
  SemaphoreHandle done_;  // counts submissions
  uint64_t submitted_ = 0;
  std::mutex pool_mutex_;
  PoolHandle pool_;
};

// A command buffer of `pool`, recording.
VkCommandBuffer begin_commands(VkDevice device, VkCommandPool pool,
                               VkCommandBufferUsageFlags usage);

// Later commands see what earlier ones and the host wrote, and the other way
// round.
void add_barrier(VkCommandBuffer commands);

}  // namespace tessera::vulkan
