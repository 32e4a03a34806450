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
  groups_.at(next_++ % groups_.size()) = {count, each, end};
}

double PipeQueue::room() const {
  double behind = kQueueDepth;
  for (size_t i = 1; i <= groups_.size() && i <= next_; ++i) {
    const Group& group = groups_.at((next_ - i) % groups_.size());
    if (behind < group.count) return group.end - behind * group.each;
    behind -= group.count;
  }
  return 0;
}

void PipeQueue::skip(double cycles) {
  for (Group& group : groups_) group.end += cycles;
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
