// SPDX-License-Identifier: Apache-2.0

#include "backends/vulkan/runtime/gpu.hpp"

#include <string>
#include <vector>

namespace tessera::vulkan {
namespace {

// What the variants of shaders that a device may run ask for.  Structures point
// at each other: neither moves nor copies.
struct EnabledFeatures {
  VkPhysicalDeviceFeatures2 core{};
  VkPhysicalDeviceVulkan11Features v11{};
  VkPhysicalDeviceVulkan12Features v12{};
  VkPhysicalDeviceShaderIntegerDotProductFeaturesKHR dot{};
  VkPhysicalDeviceSubgroupSizeControlFeaturesEXT sizes{};
  MatrixFeatures matrices = matrix_features();
  std::vector<const char*> extensions;

  explicit EnabledFeatures(const GpuFacts& facts) {
    core.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2;
    core.pNext = &v11;
    v11.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_1_FEATURES;
    v11.pNext = &v12;
    v12.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES;
    core.features.shaderInt64 = VK_TRUE;
    v12.bufferDeviceAddress = VK_TRUE;
    v12.timelineSemaphore = VK_TRUE;
    v12.scalarBlockLayout = VK_TRUE;
    if (facts.has_small_storage) {
      core.features.shaderInt16 = VK_TRUE;
      v11.storageBuffer16BitAccess = VK_TRUE;
      v12.storageBuffer8BitAccess = VK_TRUE;
      v12.shaderInt8 = VK_TRUE;
    }
    if (facts.has_dot) {
      dot.sType =
          VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_INTEGER_DOT_PRODUCT_FEATURES_KHR;
      dot.shaderIntegerDotProduct = VK_TRUE;
      chain(dot, VK_KHR_SHADER_INTEGER_DOT_PRODUCT_EXTENSION_NAME);
    }
    if (facts.fixes_subgroup_size) {
      sizes.sType =
          VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_SIZE_CONTROL_FEATURES_EXT;
      sizes.subgroupSizeControl = VK_TRUE;
      sizes.computeFullSubgroups = VK_TRUE;
      chain(sizes, VK_EXT_SUBGROUP_SIZE_CONTROL_EXTENSION_NAME);
    }
    if (facts.int8_matrix.exists() || facts.half_matrix.exists()) {
      v12.shaderFloat16 = VK_TRUE;
      v12.vulkanMemoryModel = VK_TRUE;
      chain(matrices, kMatrixExtension);
    }
    if (facts.imports_host_memory) {
      extensions.push_back(VK_EXT_EXTERNAL_MEMORY_HOST_EXTENSION_NAME);
    }
  }
  EnabledFeatures(const EnabledFeatures&) = delete;
  EnabledFeatures& operator=(const EnabledFeatures&) = delete;

 private:
  template <typename Structure>
  void chain(Structure& structure, const char* extension) {
    structure.pNext = v12.pNext;
    v12.pNext = &structure;
    extensions.push_back(extension);
  }
};

VkDevice make_device(const GpuFacts& facts) {
  const float priority = 1.0f;
  VkDeviceQueueCreateInfo queue{};
  queue.sType = VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO;
  queue.queueFamilyIndex = facts.queue_family;
  queue.queueCount = 1;
  queue.pQueuePriorities = &priority;
  const EnabledFeatures enabled(facts);
  VkDeviceCreateInfo info{};
  info.sType = VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO;
  info.pNext = &enabled.core;
  info.queueCreateInfoCount = 1;
  info.pQueueCreateInfos = &queue;
  info.enabledExtensionCount = static_cast<uint32_t>(enabled.extensions.size());
  info.ppEnabledExtensionNames = enabled.extensions.data();
  VkDevice device = VK_NULL_HANDLE;
  const VkResult made = vkCreateDevice(facts.physical, &info, nullptr, &device);
  if (made == VK_ERROR_OUT_OF_HOST_MEMORY ||
      made == VK_ERROR_OUT_OF_DEVICE_MEMORY) {
    check_vk(made, "vkCreateDevice");
  }
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

Gpu::Gpu(const GpuFacts& facts, uint64_t timeout_ns)
    : facts_(facts), timeout_ns_(timeout_ns), device_(make_device(facts)) {
  vkGetDeviceQueue(device_, facts.queue_family, 0, &queue_);
  try {
    make_objects();
  } catch (...) {
    pool_ = {};
    done_ = {};
    vkDestroyDevice(device_, nullptr);
    throw;
  }
}

void Gpu::make_objects() {
  done_ = make_timeline(device_);
  pool_ = make_pool();
  once_ = allocate_commands(device_, pool_.get());
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

void Gpu::require_alive() const {
  if (!is_lost_) return;
  throw sdk::Error(TSR_INTERNAL, "device " + facts_.name +
                                     " was lost and must be opened again")
      .retry(TSR_DEVICE_LOST, VK_ERROR_DEVICE_LOST);
}

void Gpu::check(VkResult code, const std::string& what) {
  if (code == VK_ERROR_DEVICE_LOST || code == VK_TIMEOUT) is_lost_ = true;
  check_vk(code, what);
}

void Gpu::run(VkCommandBuffer commands) { wait(submit(commands)); }

uint64_t Gpu::submit(VkCommandBuffer commands) {
  require_alive();
  const std::lock_guard<std::mutex> lock(queue_mutex_);
  VkSemaphore done = done_.get();
  const uint64_t value = submitted_ + 1;
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
  check(vkQueueSubmit(queue_, 1, &info, VK_NULL_HANDLE), "vkQueueSubmit");
  submitted_ = value;
  return value;
}

void Gpu::wait(uint64_t value) {
  VkSemaphore done = done_.get();
  VkSemaphoreWaitInfo info{};
  info.sType = VK_STRUCTURE_TYPE_SEMAPHORE_WAIT_INFO;
  info.semaphoreCount = 1;
  info.pSemaphores = &done;
  info.pValues = &value;
  const VkResult waited = vkWaitSemaphores(device_, &info, timeout_ns_);
  // The wait failed, not the work: the caller may go on once that is done.
  if (waited == VK_ERROR_OUT_OF_HOST_MEMORY ||
      waited == VK_ERROR_OUT_OF_DEVICE_MEMORY) {
    const std::lock_guard<std::mutex> lock(queue_mutex_);
    check(vkQueueWaitIdle(queue_), "vkQueueWaitIdle");
  }
  check(waited, "vkWaitSemaphores");
  const std::string message = Instance::get().take_message();
  if (!message.empty()) {
    throw sdk::Error(TSR_INTERNAL, "validation: " + message);
  }
}

void Gpu::settle() {
  if (!is_lost_) return;
  const std::lock_guard<std::mutex> lock(queue_mutex_);
  vkQueueWaitIdle(queue_);
}

void Gpu::run_once(const std::function<void(VkCommandBuffer)>& record) {
  const std::lock_guard<std::mutex> lock(pool_mutex_);
  require_alive();
  check_vk(vkResetCommandPool(device_, pool_.get(), 0), "vkResetCommandPool");
  begin_commands(once_, VK_COMMAND_BUFFER_USAGE_ONE_TIME_SUBMIT_BIT);
  record(once_);
  add_barrier(once_);
  check_vk(vkEndCommandBuffer(once_), "vkEndCommandBuffer");
  run(once_);
}

VkCommandBuffer allocate_commands(VkDevice device, VkCommandPool pool) {
  VkCommandBufferAllocateInfo info{};
  info.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO;
  info.commandPool = pool;
  info.level = VK_COMMAND_BUFFER_LEVEL_PRIMARY;
  info.commandBufferCount = 1;
  VkCommandBuffer commands = VK_NULL_HANDLE;
  check_vk(vkAllocateCommandBuffers(device, &info, &commands),
           "vkAllocateCommandBuffers");
  return commands;
}

void begin_commands(VkCommandBuffer commands, VkCommandBufferUsageFlags usage) {
  VkCommandBufferBeginInfo begin{};
  begin.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO;
  begin.flags = usage;
  check_vk(vkBeginCommandBuffer(commands, &begin), "vkBeginCommandBuffer");
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
