// SPDX-License-Identifier: Apache-2.0

#include "backends/vulkan/runtime/gpu.hpp"

#include <algorithm>
#include <map>
#include <string>
#include <utility>
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

// The queues of each family of the plan, up to the last that it names.
std::vector<VkDeviceQueueCreateInfo> queue_infos(const QueuePlan& plan) {
  static constexpr std::array<float, kMostLanes> kPriorities = {1.0f, 1.0f,
                                                                1.0f};
  std::map<uint32_t, uint32_t> counts;  // by family
  for (const QueueId& lane : plan.lanes) {
    uint32_t& count = counts[lane.family];
    count = std::max(count, lane.index + 1);
  }
  std::vector<VkDeviceQueueCreateInfo> infos;
  for (const auto& [family, count] : counts) {
    VkDeviceQueueCreateInfo info{};
    info.sType = VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO;
    info.queueFamilyIndex = family;
    info.queueCount = count;
    info.pQueuePriorities = kPriorities.data();
    infos.push_back(info);
  }
  return infos;
}

VkDevice make_device(const GpuFacts& facts, const QueuePlan& plan) {
  const std::vector<VkDeviceQueueCreateInfo> queues = queue_infos(plan);
  const EnabledFeatures enabled(facts);
  VkDeviceCreateInfo info{};
  info.sType = VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO;
  info.pNext = &enabled.core;
  info.queueCreateInfoCount = static_cast<uint32_t>(queues.size());
  info.pQueueCreateInfos = queues.data();
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

// What of the other lanes a submission must wait for before it runs: it is
// done, so that nothing is waited for in truth, but only a wait makes what one
// queue wrote visible in another.
struct Gpu::Waits {
  uint32_t count = 0;
  std::array<VkSemaphore, kMostLanes> semaphores{};
  std::array<uint64_t, kMostLanes> values{};
  std::array<uint64_t, kMostLanes> seen{};  // by lane, once submitted
};

Gpu::Gpu(const GpuFacts& facts, QueuePlan plan, uint64_t timeout_ns)
    : facts_(facts),
      plan_(std::move(plan)),
      timeout_ns_(timeout_ns),
      device_(make_device(facts, plan_)) {
  try {
    make_lanes();
  } catch (...) {
    lanes_.clear();
    vkDestroyDevice(device_, nullptr);
    throw;
  }
}

void Gpu::make_lanes() {
  for (uint32_t i = 0; i < plan_.lanes.size(); ++i) {
    const QueueId& id = plan_.lanes[i];
    Lane& lane = lanes_.emplace_back();
    vkGetDeviceQueue(device_, id.family, id.index, &lane.queue);
    const auto first = std::find(plan_.lanes.begin(), plan_.lanes.end(), id);
    const auto sharer = static_cast<size_t>(first - plan_.lanes.begin());
    lane.mutex = &lanes_[sharer].own_mutex;
    lane.done = make_timeline(device_);
    lane.pool = make_pool(i);
    lane.once = allocate_commands(device_, lane.pool.get());
  }
}

Gpu::~Gpu() {
  vkDeviceWaitIdle(device_);
  lanes_.clear();
  vkDestroyDevice(device_, nullptr);
}

uint32_t Gpu::next_compute_lane() {
  return lanes_given_.fetch_add(1, std::memory_order_relaxed) %
         plan_.num_compute;
}

PoolHandle Gpu::make_pool(uint32_t lane) const {
  VkCommandPoolCreateInfo info{};
  info.sType = VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO;
  info.queueFamilyIndex = plan_.lanes.at(lane).family;
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

void Gpu::run(uint32_t lane, VkCommandBuffer commands) {
  wait(lane, submit(lane, commands));
}

Gpu::Waits Gpu::find_waits(uint32_t lane) const {
  Waits waits;
  waits.seen = lanes_[lane].seen;
  for (uint32_t i = 0; i < lanes_.size(); ++i) {
    const uint64_t value = lanes_[i].waited_for;
    if (i == lane || value <= waits.seen[i]) continue;
    waits.semaphores[waits.count] = lanes_[i].done.get();
    waits.values[waits.count] = value;
    waits.seen[i] = value;
    ++waits.count;
  }
  return waits;
}

uint64_t Gpu::submit(uint32_t index, VkCommandBuffer commands) {
  static constexpr std::array<VkPipelineStageFlags, kMostLanes> kStages = {
      VK_PIPELINE_STAGE_ALL_COMMANDS_BIT, VK_PIPELINE_STAGE_ALL_COMMANDS_BIT,
      VK_PIPELINE_STAGE_ALL_COMMANDS_BIT};
  require_alive();
  Lane& lane = lanes_[index];
  const std::lock_guard<std::mutex> lock(*lane.mutex);
  const Waits waits = find_waits(index);
  VkSemaphore done = lane.done.get();
  const uint64_t value = lane.submitted + 1;
  VkTimelineSemaphoreSubmitInfo timeline{};
  timeline.sType = VK_STRUCTURE_TYPE_TIMELINE_SEMAPHORE_SUBMIT_INFO;
  timeline.waitSemaphoreValueCount = waits.count;
  timeline.pWaitSemaphoreValues = waits.values.data();
  timeline.signalSemaphoreValueCount = 1;
  timeline.pSignalSemaphoreValues = &value;
  VkSubmitInfo info{};
  info.sType = VK_STRUCTURE_TYPE_SUBMIT_INFO;
  info.pNext = &timeline;
  info.waitSemaphoreCount = waits.count;
  info.pWaitSemaphores = waits.semaphores.data();
  info.pWaitDstStageMask = kStages.data();
  info.commandBufferCount = 1;
  info.pCommandBuffers = &commands;
  info.signalSemaphoreCount = 1;
  info.pSignalSemaphores = &done;
  check(vkQueueSubmit(lane.queue, 1, &info, VK_NULL_HANDLE), "vkQueueSubmit");
  lane.submitted = value;
  lane.seen = waits.seen;
  return value;
}

void Gpu::wait_idle(Lane& lane) {
  const std::lock_guard<std::mutex> lock(*lane.mutex);
  check(vkQueueWaitIdle(lane.queue), "vkQueueWaitIdle");
}

void Gpu::wait(uint32_t index, uint64_t value) {
  Lane& lane = lanes_[index];
  VkSemaphore done = lane.done.get();
  VkSemaphoreWaitInfo info{};
  info.sType = VK_STRUCTURE_TYPE_SEMAPHORE_WAIT_INFO;
  info.semaphoreCount = 1;
  info.pSemaphores = &done;
  info.pValues = &value;
  const VkResult waited = vkWaitSemaphores(device_, &info, timeout_ns_);
  // The wait failed, not the work: the caller may go on once that is done.
  if (waited == VK_ERROR_OUT_OF_HOST_MEMORY ||
      waited == VK_ERROR_OUT_OF_DEVICE_MEMORY) {
    wait_idle(lane);
  }
  check(waited, "vkWaitSemaphores");
  uint64_t before = lane.waited_for;
  while (before < value &&
         !lane.waited_for.compare_exchange_weak(before, value)) {
  }
  const std::string message = Instance::get().take_message();
  if (!message.empty()) {
    throw sdk::Error(TSR_INTERNAL, "validation: " + message);
  }
}

void Gpu::settle() {
  if (!is_lost_) return;
  for (Lane& lane : lanes_) {
    const std::lock_guard<std::mutex> lock(*lane.mutex);
    vkQueueWaitIdle(lane.queue);
  }
}

void Gpu::run_once(uint32_t index,
                   const std::function<void(VkCommandBuffer)>& record) {
  Lane& lane = lanes_[index];
  const std::lock_guard<std::mutex> lock(lane.once_mutex);
  require_alive();
  check_vk(vkResetCommandPool(device_, lane.pool.get(), 0),
           "vkResetCommandPool");
  begin_commands(lane.once, VK_COMMAND_BUFFER_USAGE_ONE_TIME_SUBMIT_BIT);
  record(lane.once);
  add_barrier(lane.once);
  check_vk(vkEndCommandBuffer(lane.once), "vkEndCommandBuffer");
  run(index, lane.once);
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

void add_copy_barrier(VkCommandBuffer commands) {
  constexpr VkPipelineStageFlags kAll = VK_PIPELINE_STAGE_ALL_COMMANDS_BIT;
  VkMemoryBarrier barrier{};
  barrier.sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER;
  barrier.srcAccessMask = VK_ACCESS_MEMORY_WRITE_BIT;
  barrier.dstAccessMask = VK_ACCESS_MEMORY_READ_BIT |
                          VK_ACCESS_MEMORY_WRITE_BIT | VK_ACCESS_HOST_READ_BIT;
  vkCmdPipelineBarrier(commands, kAll, kAll | VK_PIPELINE_STAGE_HOST_BIT, 0, 1,
                       &barrier, 0, nullptr, 0, nullptr);
}

}  // namespace tessera::vulkan
