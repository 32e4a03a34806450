// SPDX-License-Identifier: Apache-2.0

#include "backends/vulkan/runtime/queue_plan.hpp"

#include <algorithm>
#include <tuple>

namespace tessera::vulkan {
namespace {

// Two sessions side by side fill what one leaves empty; more wait in turn.
constexpr uint32_t kMostComputeLanes = 2;

bool computes(const VkQueueFamilyProperties& family) {
  return family.queueCount != 0 &&
         (family.queueFlags & VK_QUEUE_COMPUTE_BIT) != 0;
}

// Families for video and optical flow transfer too, and are other engines.
bool only_transfers(const VkQueueFamilyProperties& family) {
  constexpr VkQueueFlags kPlain = VK_QUEUE_TRANSFER_BIT |
                                  VK_QUEUE_SPARSE_BINDING_BIT |
                                  VK_QUEUE_PROTECTED_BIT;
  return family.queueCount != 0 &&
         (family.queueFlags & VK_QUEUE_TRANSFER_BIT) != 0 &&
         (family.queueFlags & ~kPlain) == 0;
}

// The larger, the better for steps.
auto weight_of(const VkQueueFamilyProperties& family) {
  return std::tuple(computes(family), family.timestampValidBits != 0,
                    (family.queueFlags & VK_QUEUE_GRAPHICS_BIT) == 0,
                    family.queueCount);
}

}  // namespace

std::vector<uint32_t> QueuePlan::families() const {
  std::vector<uint32_t> all;
  for (const QueueId& lane : lanes) {
    if (std::find(all.begin(), all.end(), lane.family) == all.end()) {
      all.push_back(lane.family);
    }
  }
  return all;
}

QueuePlan choose_queues(const std::vector<VkQueueFamilyProperties>& families) {
  const auto best = std::max_element(
      families.begin(), families.end(),
      [](const auto& a, const auto& b) { return weight_of(a) < weight_of(b); });
  if (best == families.end() || !computes(*best)) return {};
  const auto number = [&](const auto& family) {
    return static_cast<uint32_t>(family - families.begin());
  };
  QueuePlan plan;
  plan.num_compute = std::min(best->queueCount, kMostComputeLanes);
  for (uint32_t i = 0; i < plan.num_compute; ++i) {
    plan.lanes.push_back({number(best), i});
  }
  const auto copies =
      std::find_if(families.begin(), families.end(), only_transfers);
  if (copies != families.end()) {
    plan.lanes.push_back({number(copies), 0});
  } else if (best->queueCount > plan.num_compute) {
    plan.lanes.push_back({number(best), plan.num_compute});
  }
  return plan;
}

QueuePlan one_lane(const QueuePlan& plan) { return {{plan.lanes.at(0)}, 1}; }

QueuePlan emulated_lanes(const QueuePlan& plan) {
  const QueueId queue = plan.lanes.at(0);
  return {{queue, queue, queue}, 2};
}

}  // namespace tessera::vulkan
