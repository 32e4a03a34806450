// SPDX-License-Identifier: Apache-2.0

#include "backends/vulkan/runtime/gpu.hpp"

#include <string>
#include <vector>

namespace tessera::vulkan {
namespace {

VkDevice make_device(const GpuFacts& facts) {
  const float priority = 1.0f;
  VkDeviceQueueCreateInfo queue{};
  queue.sType = VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO;
  queue.queueFamilyIndex = facts.queue_family;
  queue.queueCount = 1;
  queue.pQueuePriorities = &priority;
  VkPhysicalDeviceVulkan12Features v12{};
  v12.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES;
  v12.bufferDeviceAddress = VK_TRUE;
  v12.timelineSemaphore = VK_TRUE;
  v12.scalarBlockLayout = VK_TRUE;
  v12.storageBuffer8BitAccess = VK_TRUE;
  v12.shaderInt8 = VK_TRUE;
  VkPhysicalDeviceVulkan11Features v11{};
  v11.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_1_FEATURES;
  v11.pNext = &v12;
  v11.storageBuffer16BitAccess = VK_TRUE;
  VkPhysicalDeviceFeatures2 features{};
  features.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2;
  features.pNext = &v11;
  features.features.shaderInt16 = VK_TRUE;
  features.features.shaderInt64 = VK_TRUE;
  std::vector<const char*> extensions;
  if (facts.imports_host_memory) {
    extensions.push_back(VK_EXT_EXTERNAL_MEMORY_HOST_EXTENSION_NAME);
  }
  VkDeviceCreateInfo info{};
  info.sType = VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO;
  info.pNext = &features;
  info.queueCreateInfoCount = 1;
  info.pQueueCreateInfos = &queue;
  info.enabledExtensionCount = static_cast<uint32_t>(extensions.size());
  info.ppEnabledExtensionNames = extensions.data();
  VkDevice device = VK_NULL_HANDLE;
  const VkResult made = vkCreateDevice(facts.physical, &info, nullptr, &device);
  if (made != VK_SUCCESS) {
    throw sdk::Error(TSR_UNAVAILABLE, "device " + facts.name +
                                          " cannot be opened (VkResult " +
                                          std::to_string(made) + ")");
  }
  return device;
}

SemaphoreHandle make_timeline(VkDevice device) {
  VkSemaphoreTypeCreateInfo type{};
  type.sType = VK_STRUCTURE_TYPE_SEMAPHORE_TYPE_CREATE_INFO;
  type.semaphoreType = VK_SEMAPHORE_TYPE_TIMELINE;
  VkSemaphoreCreateInfo info{};
  info.sType = VK_STRUCTURE_TYPE_SEMAPHORE_CREATE_INFO;
  info.pNext = &type;
  VkSemaphore semaphore = VK_NULL_HANDLE;
  check_vk(vkCreateSemaphore(device, &info, nullptr, &semaphore),
           "vkCreateSemaphore");
  return {device, semaphore};
}

}  // namespace

Gpu::Gpu(const GpuFacts& facts) : facts_(facts), device_(make_device(facts)) {
  vkGetDeviceQueue(device_, facts.queue_family, 0, &queue_);
  try {
    done_ = make_timeline(device_);
    pool_ = make_pool();
  } catch (...) {
    done_ = {};
    vkDestroyDevice(device_, nullptr);
    throw;
  }
}

Gpu::~Gpu() {
  vkDeviceWaitIdle(device_);
  pool_ = {};
  done_ = {};
  vkDestroyDevice(device_, nullptr);
}

PoolHandle Gpu::make_pool() const {
  VkCommandPoolCreateInfo info{};
  info.sType = VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO;
  info.queueFamilyIndex = facts_.queue_family;
  VkCommandPool pool = VK_NULL_HANDLE;
  check_vk(vkCreateCommandPool(device_, &info, nullptr, &pool),
           "vkCreateCommandPool");
  return {device_, pool};
}

void Gpu::run(VkCommandBuffer commands) {
  VkSemaphore done = done_.get();
  uint64_t value = 0;
  {
    const std::lock_guard<std::mutex> lock(queue_mutex_);
    value = ++submitted_;
    VkTimelineSemaphoreSubmitInfo timeline{};
    timeline.sType = VK_STRUCTURE_TYPE_TIMELINE_SEMAPHORE_SUBMIT_INFO;
    timeline.signalSemaphoreValueCount = 1;
    timeline.pSignalSemaphoreValues = &value;
    VkSubmitInfo info{};
    info.sType = VK_STRUCTURE_TYPE_SUBMIT_INFO;
    info.pNext = &timeline;
    info.commandBufferCount = 1;
    info.pCommandBuffers = &commands;
    info.signalSemaphoreCount = 1;
    info.pSignalSemaphores = &done;
    check_vk(vkQueueSubmit(queue_, 1, &info, VK_NULL_HANDLE), "vkQueueSubmit");
  }
  VkSemaphoreWaitInfo wait{};
  wait.sType = VK_STRUCTURE_TYPE_SEMAPHORE_WAIT_INFO;
  wait.semaphoreCount = 1;
  wait.pSemaphores = &done;
  wait.pValues = &value;
  check_vk(vkWaitSemaphores(device_, &wait, UINT64_MAX), "vkWaitSemaphores");
  const std::string message = Instance::get().take_message();
  if (!message.empty()) {
    throw sdk::Error(TSR_INTERNAL, "validation: " + message);
  }
}

void Gpu::run_once(const std::function<void(VkCommandBuffer)>& record) {
  const std::lock_guard<std::mutex> lock(pool_mutex_);
  check_vk(vkResetCommandPool(device_, pool_.get(),
                              VK_COMMAND_POOL_RESET_RELEASE_RESOURCES_BIT),
           "vkResetCommandPool");
  VkCommandBuffer commands = begin_commands(
      device_, pool_.get(), VK_COMMAND_BUFFER_USAGE_ONE_TIME_SUBMIT_BIT);
  record(commands);
  add_barrier(commands);
  check_vk(vkEndCommandBuffer(commands), "vkEndCommandBuffer");
  run(commands);
  vkFreeCommandBuffers(device_, pool_.get(), 1, &commands);
}

VkCommandBuffer begin_commands(VkDevice device, VkCommandPool pool,
                               VkCommandBufferUsageFlags usage) {
  VkCommandBufferAllocateInfo allocate{};
  allocate.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO;
  allocate.commandPool = pool;
  allocate.level = VK_COMMAND_BUFFER_LEVEL_PRIMARY;
  allocate.commandBufferCount = 1;
  VkCommandBuffer commands = VK_NULL_HANDLE;
  check_vk(vkAllocateCommandBuffers(device, &allocate, &commands),
           "vkAllocateCommandBuffers");
  VkCommandBufferBeginInfo begin{};
  begin.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO;
  begin.flags = usage;
  check_vk(vkBeginCommandBuffer(commands, &begin), "vkBeginCommandBuffer");
  return commands;
}

void add_barrier(VkCommandBuffer commands) {
  constexpr VkPipelineStageFlags kFrom =
      VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT | VK_PIPELINE_STAGE_TRANSFER_BIT;
  VkMemoryBarrier barrier{};
  barrier.sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER;
  barrier.srcAccessMask =
      VK_ACCESS_SHADER_WRITE_BIT | VK_ACCESS_TRANSFER_WRITE_BIT;
  barrier.dstAccessMask =
      VK_ACCESS_SHADER_READ_BIT | VK_ACCESS_SHADER_WRITE_BIT |
      VK_ACCESS_TRANSFER_READ_BIT | VK_ACCESS_TRANSFER_WRITE_BIT |
      VK_ACCESS_HOST_READ_BIT;
  vkCmdPipelineBarrier(commands, kFrom, kFrom | VK_PIPELINE_STAGE_HOST_BIT, 0,
                       1, &barrier, 0, nullptr, 0, nullptr);
}

}  // namespace tessera::vulkan
