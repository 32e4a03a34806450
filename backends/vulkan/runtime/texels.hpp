// SPDX-License-Identifier: Apache-2.0
//
// Buffers that shaders read as texels.  Drivers that run shaders on a CPU
// gather texels with vector code, but loads from addresses one invocation at a
// time.

#pragma once

#include <cstdint>
#include <vector>

#include "backends/vulkan/runtime/buffer.hpp"
#include "tessera/types.h"

namespace tessera::vulkan {

inline constexpr uint32_t kTexelBindings = 5;  // as shaders/block.glsl

// Bytes of a buffer, read in texels of `format`.
struct TexelRange {
  const Buffer* buffer = nullptr;
  uint64_t offset = 0;
  uint64_t bytes = 0;
  VkFormat format = VK_FORMAT_R32G32B32A32_UINT;
  uint32_t tensor = TSR_NONE;  // what lies there, if a step may move it
  uint64_t serial = 0;         // of the buffer, then
};

// True if the range, rounded up to whole texels, can be a texel buffer.
bool fits_texels(const GpuFacts& facts, const TexelRange& range);

// What one dispatch runs, and the bindings 0, 1, ... that it reads.
struct Dispatch {
  VkPipeline pipeline = VK_NULL_HANDLE;
  std::vector<TexelRange> texels;
};

// Of kTexelBindings.
SetLayoutHandle make_texel_layout(VkDevice device);

// A descriptor set for each dispatch that reads texels.
class TexelSets {
 public:
  // Throws RESOURCE_EXHAUSTED
  TexelSets(VkDevice device, VkDescriptorSetLayout layout,
            const std::vector<Dispatch>& dispatches);

  // Null for a dispatch that reads none.
  VkDescriptorSet at(size_t dispatch) const { return sets_[dispatch]; }

 private:
  void fill(VkDevice device, VkDescriptorSet set,
            const std::vector<TexelRange>& ranges);

  std::vector<BufferViewHandle> views_;
  DescriptorPoolHandle pool_;
  std::vector<VkDescriptorSet> sets_;  // of pool_
};

}  // namespace tessera::vulkan
