// SPDX-License-Identifier: Apache-2.0

#include "backends/vulkan/recording.hpp"

#include <algorithm>
#include <cstddef>
#include <utility>

#include "backends/vulkan/device.hpp"

namespace tessera::vulkan {
namespace {

QueryPoolHandle make_timestamps(VkDevice device, uint32_t count) {
  VkQueryPoolCreateInfo info{};
  info.sType = VK_STRUCTURE_TYPE_QUERY_POOL_CREATE_INFO;
  info.queryType = VK_QUERY_TYPE_TIMESTAMP;
  info.queryCount = count;
  VkQueryPool pool = VK_NULL_HANDLE;
  check_vk(vkCreateQueryPool(device, &info, nullptr, &pool),
           "vkCreateQueryPool");
  return {device, pool};
}

std::vector<Dispatch> ask_launches(const Recording::Input& input,
                                   const std::vector<ActiveSlot>& active) {
  std::vector<Dispatch> dispatches;
  dispatches.reserve(active.size());
  for (const ActiveSlot& slot : active) {
    dispatches.push_back(
        input.launches[slot.op]->dispatch(input.step, slot.local));
  }
  return dispatches;
}

}  // namespace

Recording::Recording(const Input& input, std::vector<ActiveSlot> active)
    : gpu_(input.device.gpu()),
      num_ops_(static_cast<uint32_t>(input.launches.size())),
      active_(std::move(active)),
      dispatches_(ask_launches(input, active_)),
      sets_(gpu_.device(), input.device.pipelines().texel_layout(),
            dispatches_),
      pool_(input.device.gpu().make_pool(0)) {
  if (input.has_timestamps) {
    timestamps_ = make_timestamps(gpu_.device(), num_ops_ + 1);
  }
  record(input);
}

void Recording::stamp(uint32_t index) const {
  if (timestamps_.get() == VK_NULL_HANDLE) return;
  vkCmdWriteTimestamp(commands_, VK_PIPELINE_STAGE_BOTTOM_OF_PIPE_BIT,
                      timestamps_.get(), index);
}

void Recording::record(const Input& input) {
  commands_ = allocate_commands(gpu_.device(), pool_.get());
  begin_commands(commands_, 0);
  if (input.has_timestamps) {
    vkCmdResetQueryPool(commands_, timestamps_.get(), 0, num_ops_ + 1);
  }
  stamp(0);
  VkPipelineLayout layout = input.device.pipelines().layout();
  uint32_t op = 0;
  for (size_t i = 0; i < active_.size(); ++i) {
    for (; op < active_[i].op; ++op) stamp(op + 1);
    const uint64_t offset =
        input.first_slot + active_[i].slot * sizeof(DispatchSlot);
    const uint64_t args =
        input.parameters.address() + offset + offsetof(DispatchSlot, args);
    vkCmdBindPipeline(commands_, VK_PIPELINE_BIND_POINT_COMPUTE,
                      dispatches_[i].pipeline);
    VkDescriptorSet set = sets_.at(i);
    if (set != VK_NULL_HANDLE) {
      vkCmdBindDescriptorSets(commands_, VK_PIPELINE_BIND_POINT_COMPUTE, layout,
                              0, 1, &set, 0, nullptr);
    }
    vkCmdPushConstants(commands_, layout, VK_SHADER_STAGE_COMPUTE_BIT, 0,
                       sizeof(args), &args);
    vkCmdDispatchIndirect(commands_, input.parameters.buffer(), offset);
    add_barrier(commands_);
  }
  for (; op < num_ops_; ++op) stamp(op + 1);
  check_vk(vkEndCommandBuffer(commands_), "vkEndCommandBuffer");
}

bool Recording::fits(const Step& step, const std::vector<ActiveSlot>& active,
                     bool has_timestamps) const {
  const auto same_slot = [](const ActiveSlot& a, const ActiveSlot& b) {
    return a.slot == b.slot;
  };
  if (has_timestamps != (timestamps_.get() != VK_NULL_HANDLE) ||
      !std::equal(active.begin(), active.end(), active_.begin(), active_.end(),
                  same_slot)) {
    return false;
  }
  for (const Dispatch& dispatch : dispatches_) {
    for (const TexelRange& range : dispatch.texels) {
      if (range.tensor != TSR_NONE && !step.places.is_at(range)) return false;
    }
  }
  return true;
}

std::vector<uint64_t> Recording::read_ticks() const {
  std::vector<uint64_t> ticks(num_ops_ + 1);
  gpu_.check(
      vkGetQueryPoolResults(gpu_.device(), timestamps_.get(), 0, num_ops_ + 1,
                            ticks.size() * sizeof(uint64_t), ticks.data(),
                            sizeof(uint64_t),
                            VK_QUERY_RESULT_64_BIT | VK_QUERY_RESULT_WAIT_BIT),
      "vkGetQueryPoolResults");
  // Devices of 36 bits begin again within the hour.
  const uint64_t mask = gpu_.facts().timestamp_mask;
  for (size_t i = 1; i < ticks.size(); ++i) {
    ticks[i] = ticks[i - 1] + ((ticks[i] - ticks[i - 1]) & mask);
  }
  return ticks;
}

}  // namespace tessera::vulkan
