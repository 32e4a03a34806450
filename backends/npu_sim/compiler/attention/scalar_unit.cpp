// SPDX-License-Identifier: Apache-2.0
//
// The last few groups of instructions of each queue tell when it has room.

#include "backends/npu_sim/compiler/attention/scalar_unit.hpp"

#include <algorithm>

namespace tessera::npu {
namespace {

constexpr double kQueueDepth = 32;

}  // namespace

void PipeQueue::add(double count, double each, double end) {
  groups_[next_++ % kGroups] = {count, each, end};
  waiting_ += count;
  while (waiting_ - groups_[oldest_ % kGroups].count > kQueueDepth) {
    waiting_ -= groups_[oldest_++ % kGroups].count;
  }
}

double PipeQueue::room() const {
  if (waiting_ <= kQueueDepth) return 0;
  const Group& group = groups_[oldest_ % kGroups];
  const double left = waiting_ - kQueueDepth;  // of it
  return group.end - (group.count - left) * group.each;
}

void PipeQueue::skip(double cycles) {
  // Of those before the oldest nothing is asked.
  for (size_t i = oldest_; i < next_; ++i) groups_[i % kGroups].end += cycles;
}

void Scalar::issue(Queue queue, double count, double each, double end) {
  queues.at(queue).add(count, each, end);
  held = std::max(held, queues.at(queue).room());
}

void Scalar::skip(double cycles) {
  for (PipeQueue& queue : queues) queue.skip(cycles);
  held += cycles;
}

}  // namespace tessera::npu
