// SPDX-License-Identifier: Apache-2.0
//
// How far a core's pipes may run ahead of each other in the estimate: the
// scalar unit hands instructions over in order, into queues of limited depth.

#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

namespace tessera::npu {

// Instructions that a pipe was handed.  Its queue takes 32; with more, the
// scalar unit waits, and all that comes after waits with it.
class PipeQueue {
 public:
  // `count` instructions of `each` cycles, the last of which ends at `end`.
  void add(double count, double each, double end) {
    groups_[next_++ % kGroups] = {count, each, end};
    waiting_ += count;
    while (waiting_ - groups_[oldest_ % kGroups].count > kDepth) {
      waiting_ -= groups_[oldest_++ % kGroups].count;
    }
  }
  // When there is room for one more; 0 while the queue was never full.
  double room() const {
    if (waiting_ <= kDepth) return 0;
    const Group& group = groups_[oldest_ % kGroups];
    const double left = waiting_ - kDepth;  // of it
    return group.end - (group.count - left) * group.each;
  }
  void skip(double cycles);

 private:
  struct Group {
    double count = 0;
    double each = 0;
    double end = 0;
  };
  // Of at least two instructions each, so that a full queue is not overwritten.
  static constexpr size_t kGroups = 16;
  static constexpr double kDepth = 32;
  std::array<Group, kGroups> groups_{};
  size_t next_ = 0;
  // The group that leaves next, and instructions from there on.
  size_t oldest_ = 0;
  double waiting_ = 0;
};

// The scalar unit of a core: until when it stood at a full queue.
struct Scalar {
  enum Queue : uint8_t { kMte2, kMte1, kCube, kVector, kMte3, kFixpipe };
  std::array<PipeQueue, 6> queues{};
  double held = 0;

  void issue(Queue queue, double count, double each, double end) {
    PipeQueue& one = queues[queue];
    one.add(count, each, end);
    held = std::max(held, one.room());
  }
  void skip(double cycles);
};

}  // namespace tessera::npu
