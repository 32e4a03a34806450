// SPDX-License-Identifier: Apache-2.0
//
// The connection to the Vulkan loader, and what its drivers say about their
// devices.

#pragma once

#include <vulkan/vulkan.h>

#include <array>
#include <cstdint>
#include <mutex>
#include <string>
#include <vector>

#include "backends/vulkan/runtime/matrix_facts.hpp"
#include "backends/vulkan/runtime/queue_plan.hpp"

namespace tessera::vulkan {

// One device, read once.
struct GpuFacts {
  VkPhysicalDevice physical = VK_NULL_HANDLE;
  std::string name;
  std::string driver;
  std::string missing;  // why it cannot be used; "" if it can
  std::array<uint8_t, 16> device_uuid{};
  std::array<uint8_t, 16> driver_uuid{};
  bool is_cpu = false;
  bool divides_exactly = false;  // known to round / and sqrt correctly
  bool imports_host_memory = false;
  bool has_small_storage = false;  // of 8 and 16 bits, and integers of both
  bool has_dot = false;            // products of four s8
  bool dot_is_fast = false;
  MatrixSize int8_matrix;
  MatrixSize half_matrix;
  uint64_t import_alignment = 1;
  uint64_t max_alloc_bytes = 0;
  uint64_t texel_alignment = 1;
  uint64_t max_texels = 0;  // of one view
  // Of all loops of an invocation, beyond which the driver ends them without a
  // word; 0: it does not.
  uint32_t most_iterations = 0;
  std::array<uint32_t, 2> max_groups{};  // of a dispatch, in x and y
  uint32_t subgroup_size = 0;
  VkSubgroupFeatureFlags subgroup_operations = 0;  // in compute shaders
  bool fixes_subgroup_size =
      false;                    // a pipeline may ask for that size, and full
  double timestamp_ns = 0.0;    // of a tick; 0: no timestamps
  uint64_t timestamp_mask = 0;  // ticks begin again beyond it
  QueuePlan queues;             // all that it has a use for
  VkPhysicalDeviceMemoryProperties memory{};
};

// Made at the first call; lives as long as the library.  Any thread.
class Instance {
 public:
  static Instance& get();

  const std::vector<GpuFacts>& gpus() const { return gpus_; }
  // Why there are none.
  const std::string& reason() const { return reason_; }

  // What a validation layer said since the last call; "" if nothing, or if no
  // layer is loaded.
  std::string take_message();
  void add_message(const char* message);

 private:
  Instance();

  VkInstance instance_ = VK_NULL_HANDLE;
  std::string reason_;
  std::vector<GpuFacts> gpus_;
  std::mutex mutex_;
  std::string message_;
};

}  // namespace tessera::vulkan
