// SPDX-License-Identifier: Apache-2.0

#include "backends/vulkan/runtime/handle.hpp"

namespace tessera::vulkan {

void check_vk(VkResult code, const std::string& what) {
  if (code == VK_SUCCESS) return;
  const std::string text =
      what + " failed with VkResult " + std::to_string(code);
  switch (code) {
    case VK_ERROR_OUT_OF_HOST_MEMORY:
    case VK_ERROR_OUT_OF_DEVICE_MEMORY:
    case VK_ERROR_TOO_MANY_OBJECTS:
    case VK_ERROR_OUT_OF_POOL_MEMORY:
      throw sdk::Error(TSR_RESOURCE_EXHAUSTED, text)
          .retry(TSR_RETRY_SMALLER, code);
    case VK_TIMEOUT:  // the work may still run, over everything it uses
      throw sdk::Error(TSR_DEADLINE_EXCEEDED, text)
          .retry(TSR_DEVICE_LOST, code);
    case VK_ERROR_DEVICE_LOST:
      throw sdk::Error(TSR_INTERNAL, text).retry(TSR_DEVICE_LOST, code);
    default:
      throw sdk::Error(TSR_INTERNAL, text).retry(TSR_RETRY_NEVER, code);
  }
}

}  // namespace tessera::vulkan
