// SPDX-License-Identifier: Apache-2.0

#include "backends/vulkan/runtime/texels.hpp"

#include <algorithm>

namespace tessera::vulkan {
namespace {

uint64_t texel_bytes(VkFormat format) {
  switch (format) {
    case VK_FORMAT_R16_SFLOAT:
    case VK_FORMAT_R16_UINT:
      return 2;
    case VK_FORMAT_R32_SFLOAT:
    case VK_FORMAT_R32_SINT:
      return 4;
    case VK_FORMAT_R16G16B16A16_SFLOAT:
    case VK_FORMAT_R32G32_UINT:
      return 8;
    default:
      return 16;
  }
}

uint64_t whole_texels(const TexelRange& range) {
  const uint64_t texel = texel_bytes(range.format);
  return (range.bytes + texel - 1) / texel * texel;
}

BufferViewHandle make_view(VkDevice device, const TexelRange& range) {
  VkBufferViewCreateInfo info{};
  info.sType = VK_STRUCTURE_TYPE_BUFFER_VIEW_CREATE_INFO;
  info.buffer = range.buffer->buffer();
  info.format = range.format;
  info.offset = range.buffer->origin() + range.offset;
  info.range = whole_texels(range);
  VkBufferView view = VK_NULL_HANDLE;
  check_vk(vkCreateBufferView(device, &info, nullptr, &view),
           "vkCreateBufferView");
  return {device, view};
}

DescriptorPoolHandle make_pool(VkDevice device, uint32_t sets) {
  const VkDescriptorPoolSize size{VK_DESCRIPTOR_TYPE_UNIFORM_TEXEL_BUFFER,
                                  sets * kTexelBindings};
  VkDescriptorPoolCreateInfo info{};
  info.sType = VK_STRUCTURE_TYPE_DESCRIPTOR_POOL_CREATE_INFO;
  info.maxSets = sets;
  info.poolSizeCount = 1;
  info.pPoolSizes = &size;
  VkDescriptorPool pool = VK_NULL_HANDLE;
  check_vk(vkCreateDescriptorPool(device, &info, nullptr, &pool),
           "vkCreateDescriptorPool");
  return {device, pool};
}

}  // namespace

bool fits_texels(const GpuFacts& facts, const TexelRange& range) {
  const uint64_t begin = range.buffer->origin() + range.offset;
  const uint64_t bytes = whole_texels(range);
  return bytes > 0 && begin % facts.texel_alignment == 0 &&
         begin + bytes <= range.buffer->whole_bytes() &&
         bytes / texel_bytes(range.format) <= facts.max_texels;
}

SetLayoutHandle make_texel_layout(VkDevice device) {
  std::vector<VkDescriptorSetLayoutBinding> bindings(kTexelBindings);
  for (uint32_t i = 0; i < kTexelBindings; ++i) {
    bindings[i].binding = i;
    bindings[i].descriptorType = VK_DESCRIPTOR_TYPE_UNIFORM_TEXEL_BUFFER;
    bindings[i].descriptorCount = 1;
    bindings[i].stageFlags = VK_SHADER_STAGE_COMPUTE_BIT;
  }
  VkDescriptorSetLayoutCreateInfo info{};
  info.sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_LAYOUT_CREATE_INFO;
  info.bindingCount = kTexelBindings;
  info.pBindings = bindings.data();
  VkDescriptorSetLayout layout = VK_NULL_HANDLE;
  check_vk(vkCreateDescriptorSetLayout(device, &info, nullptr, &layout),
           "vkCreateDescriptorSetLayout");
  return {device, layout};
}

TexelSets::TexelSets(VkDevice device, VkDescriptorSetLayout layout,
                     const std::vector<Dispatch>& dispatches)
    : sets_(dispatches.size(), VK_NULL_HANDLE) {
  const auto count = static_cast<uint32_t>(
      std::count_if(dispatches.begin(), dispatches.end(),
                    [](const Dispatch& d) { return !d.texels.empty(); }));
  if (count == 0) return;
  pool_ = make_pool(device, count);
  for (size_t i = 0; i < dispatches.size(); ++i) {
    if (dispatches[i].texels.empty()) continue;
    VkDescriptorSetAllocateInfo info{};
    info.sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_ALLOCATE_INFO;
    info.descriptorPool = pool_.get();
    info.descriptorSetCount = 1;
    info.pSetLayouts = &layout;
    check_vk(vkAllocateDescriptorSets(device, &info, &sets_[i]),
             "vkAllocateDescriptorSets");
    fill(device, sets_[i], dispatches[i].texels);
  }
}

void TexelSets::fill(VkDevice device, VkDescriptorSet set,
                     const std::vector<TexelRange>& ranges) {
  for (uint32_t i = 0; i < ranges.size(); ++i) {
    views_.push_back(make_view(device, ranges[i]));
    VkBufferView view = views_.back().get();
    VkWriteDescriptorSet write{};
    write.sType = VK_STRUCTURE_TYPE_WRITE_DESCRIPTOR_SET;
    write.dstSet = set;
    write.dstBinding = i;
    write.descriptorCount = 1;
    write.descriptorType = VK_DESCRIPTOR_TYPE_UNIFORM_TEXEL_BUFFER;
    write.pTexelBufferView = &view;
    vkUpdateDescriptorSets(device, 1, &write, 0, nullptr);
  }
}

}  // namespace tessera::vulkan
