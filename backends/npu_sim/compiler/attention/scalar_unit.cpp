// SPDX-License-Identifier: Apache-2.0
//
// The last few groups of instructions of each queue tell when it has room.

#include "backends/npu_sim/compiler/attention/scalar_unit.hpp"

namespace tessera::npu {

void PipeQueue::skip(double cycles) {
  // Of those before the oldest nothing is asked.
  for (size_t i = oldest_; i < next_; ++i) groups_[i % kGroups].end += cycles;
}

void Scalar::skip(double cycles) {
  for (PipeQueue& queue : queues) queue.skip(cycles);
  held += cycles;
}

}  // namespace tessera::npu
