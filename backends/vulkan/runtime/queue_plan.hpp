// SPDX-License-Identifier: Apache-2.0
//
// Which of a device's queues run steps, and which one carries the copies of
// the staging ring: plain values of what a driver says about its families.

#pragma once

#include <vulkan/vulkan.h>

#include <cstdint>
#include <vector>

namespace tessera::vulkan {

constexpr uint32_t kMostLanes = 3;

// A queue of a device.
struct QueueId {
  uint32_t family = 0;
  uint32_t index = 0;  // in its family

  friend bool operator==(const QueueId&, const QueueId&) = default;
};

// Lanes are what the backend submits to, each in order; two may be the same
// queue.  The first `num_compute` run steps and are of one family; the last of
// all carries the copies of the staging ring, and may be one of those.
struct QueuePlan {
  std::vector<QueueId> lanes;
  uint32_t num_compute = 0;

  uint32_t copy_lane() const { return static_cast<uint32_t>(lanes.size()) - 1; }
  // Each once, in order.
  std::vector<uint32_t> families() const;
};

// Steps take up to two queues of the family that has timestamps, no graphics
// that a desktop would wait for, and the most queues, in this order of weight.
// Copies take a queue of a family that does nothing but transfers (an engine
// beside the cores), else one more queue of that of the steps, else the last of
// theirs.  No lane where no family computes.
QueuePlan choose_queues(const std::vector<VkQueueFamilyProperties>& families);

// All work on the first lane.
QueuePlan one_lane(const QueuePlan& plan);
// Two lanes of steps and one of copies, whatever the device has, on the queue
// of the first.
QueuePlan emulated_lanes(const QueuePlan& plan);

}  // namespace tessera::vulkan
