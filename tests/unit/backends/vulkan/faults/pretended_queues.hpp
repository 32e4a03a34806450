// SPDX-License-Identifier: Apache-2.0
//
// Makes a driver of one queue look like one with the families of another: for
// the layer of fault_layer.hpp, which asks it for functions.  The variable
// TSR_VULKAN_QUEUES says whose: "nvidia", "radv" or "intel".
//
// What is submitted to a queue that is pretended waits in a line of its own,
// for what its submission waits for and for some moments more, and then runs on
// the true queue: queues go on in an order that nobody knows, as those of a
// device do.

#pragma once

#include <vulkan/vulkan.h>

#include <cstdint>
#include <vector>

namespace tessera::vulkan_faults {

// Sets the environment so that Vulkan's loader, when it is first asked, loads
// that layer with the families of `driver`, and the Khronos layer above it,
// which sees whether what is asked for fits them.
void load_families_of(const char* driver);

// The families as that driver reports them; none for another name.
std::vector<VkQueueFamilyProperties> families_of(const char* driver);

// Nothing that is submitted to this queue of each device runs until it is let
// go.  One queue at a time.
void hold_queue(uint32_t family, uint32_t index);
void let_go();
// What the queue has been given since the process began.
struct Submissions {
  uint64_t count = 0;
  uint32_t last_waits = 0;  // semaphores that the last one waits for
};
Submissions submissions_to(uint32_t family, uint32_t index);

// A function that pretends, in place of that of the driver below; null where
// that one serves, or nothing is pretended.
PFN_vkVoidFunction pretended_function(const char* name);
// The one queue that the driver below has, where it is asked for others.
VkDeviceCreateInfo pretended_device(const VkDeviceCreateInfo& info);
// What the driver below is asked through, before any function of the device is.
void pretend_device(VkDevice device, PFN_vkGetDeviceProcAddr below);

}  // namespace tessera::vulkan_faults
