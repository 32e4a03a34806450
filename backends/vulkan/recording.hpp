// SPDX-License-Identifier: Apache-2.0
//
// The commands of a program's steps: those of one kind run the same dispatches,
// so they are recorded once and replayed over new parameters.

#pragma once

#include <cstdint>
#include <vector>

#include "backends/vulkan/launch/launch.hpp"
#include "backends/vulkan/runtime/texels.hpp"

namespace tessera::vulkan {

class VulkanDevice;

// One slot of a program that has work.
struct ActiveSlot {
  uint32_t op;
  uint32_t slot;   // of all that the program has
  uint32_t local;  // of the op's
};

class Recording {
 public:
  // Asks the launches what each active slot runs.  `parameters` is the buffer
  // whose slots begin at `first_slot`; a recording with `has_timestamps` can
  // tell when each of the `num_ops` ended.
  struct Input {
    VulkanDevice& device;
    const std::vector<std::unique_ptr<Launch>>& launches;
    const Step& step;
    const Buffer& parameters;
    uint64_t first_slot;
    bool has_timestamps;
  };
  Recording(const Input& input, std::vector<ActiveSlot> active);

  // True if a step of these slots and places may replay it.
  bool fits(const Step& step, const std::vector<ActiveSlot>& active,
            bool has_timestamps) const;
  VkCommandBuffer commands() const { return commands_; }
  // Ticks before the first op, and after each.  Only once the step is done.
  std::vector<uint64_t> read_ticks() const;

 private:
  void record(const Input& input);
  void stamp(uint32_t index) const;

  Gpu& gpu_;
  uint32_t num_ops_;
  std::vector<ActiveSlot> active_;
  std::vector<Dispatch> dispatches_;  // of each active slot
  TexelSets sets_;
  QueryPoolHandle timestamps_;
  PoolHandle pool_;
  VkCommandBuffer commands_ = VK_NULL_HANDLE;  // of pool_
};

}  // namespace tessera::vulkan
