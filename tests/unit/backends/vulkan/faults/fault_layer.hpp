// SPDX-License-Identifier: Apache-2.0
//
// A Vulkan layer that makes calls fail.  Programs that link it and load it as
// a layer (VK_LAYER_TSR_faults) say which; for others the variable
// TSR_VULKAN_FAULT says it once, as "vkQueueSubmit:20:-4": from the call of
// that number on, counted from 0.

#pragma once

#include <vulkan/vulkan.h>

#include <cstdint>
#include <string>
#include <vector>

namespace tessera::vulkan_faults {

// Functions that can be made to fail.
std::vector<std::string> functions();

// Call number `nth` of `function` from now on returns `result` and does
// nothing; others go on to the driver.  One fault at a time.
void fail_call(const std::string& function, uint32_t nth, VkResult result);
// The same for every call from number `nth` on.
void fail_calls_from(const std::string& function, uint32_t nth,
                     VkResult result);
void fail_nothing();

// True if the call of the last fault came.
bool has_failed();
// True once the loader has made a device through the layer.
bool is_loaded();

}  // namespace tessera::vulkan_faults
