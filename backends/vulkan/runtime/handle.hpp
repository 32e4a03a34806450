// SPDX-License-Identifier: Apache-2.0
//
// Vulkan objects that destroy themselves, and failures as sdk::Error.

#pragma once

#include <vulkan/vulkan.h>

#include <string>
#include <utility>

#include "tessera/error.hpp"

namespace tessera::vulkan {

// Throws unless `code` is VK_SUCCESS: RESOURCE_EXHAUSTED where memory ran out,
// INTERNAL with TSR_DEVICE_LOST where the device went away, DEADLINE_EXCEEDED
// with the same where it did not answer in time, else INTERNAL.
void check_vk(VkResult code, const std::string& what);

// An object of a logical device, which outlives it.  Moves only.
template <typename Object, auto kDestroy>
class Handle {
 public:
  Handle() = default;
  Handle(VkDevice device, Object object) : device_(device), object_(object) {}
  Handle(Handle&& other) noexcept
      : device_(other.device_), object_(std::exchange(other.object_, {})) {}
  Handle& operator=(Handle&& other) noexcept {
    std::swap(device_, other.device_);
    std::swap(object_, other.object_);
    return *this;
  }
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;
  ~Handle() {
    if (object_ != Object{}) kDestroy(device_, object_, nullptr);
  }

  Object get() const { return object_; }

 private:
  VkDevice device_ = VK_NULL_HANDLE;
  Object object_{};
};

using BufferHandle = Handle<VkBuffer, vkDestroyBuffer>;
using BufferViewHandle = Handle<VkBufferView, vkDestroyBufferView>;
using DescriptorPoolHandle = Handle<VkDescriptorPool, vkDestroyDescriptorPool>;
using MemoryHandle = Handle<VkDeviceMemory, vkFreeMemory>;
using PipelineHandle = Handle<VkPipeline, vkDestroyPipeline>;
using PipelineCacheHandle = Handle<VkPipelineCache, vkDestroyPipelineCache>;
using PipelineLayoutHandle = Handle<VkPipelineLayout, vkDestroyPipelineLayout>;
using PoolHandle = Handle<VkCommandPool, vkDestroyCommandPool>;
using QueryPoolHandle = Handle<VkQueryPool, vkDestroyQueryPool>;
using SemaphoreHandle = Handle<VkSemaphore, vkDestroySemaphore>;
using SetLayoutHandle =
    Handle<VkDescriptorSetLayout, vkDestroyDescriptorSetLayout>;
using ShaderHandle = Handle<VkShaderModule, vkDestroyShaderModule>;

}  // namespace tessera::vulkan
