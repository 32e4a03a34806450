// SPDX-License-Identifier: Apache-2.0
//
// One core while it runs: its pipes' queues, local times and flags.

#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "backends/npu_sim/machine/stream.hpp"

namespace tessera::npu {

// The times at which a flag was set and not yet waited for, oldest first.
class FlagTimes {
 public:
  static constexpr uint32_t kMost = 15;

  bool is_empty() const { return count_ == 0; }
  bool is_full() const { return count_ == kMost; }
  void push(double time) {
    times_[(first_ + count_) % kMost] = time;
    ++count_;
  }
  double pop() {
    const double time = times_[first_];
    first_ = (first_ + 1) % kMost;
    --count_;
    return time;
  }

 private:
  std::array<double, kMost> times_{};
  uint32_t first_ = 0;
  uint32_t count_ = 0;
};

// A pipe's queue, and how far it has come.
struct PipeState {
  static constexpr uint64_t kDepth = 32;

  struct Entry {
    Instruction instruction;
    double arrival = 0;  // when the scalar unit handed it over
    double left = 0;     // when the slot was last emptied
  };

  std::vector<Entry> slots;  // kDepth, made when first used
  uint64_t pushed = 0;
  uint64_t popped = 0;
  double free_at = 0;      // when it may begin the next
  double complete_at = 0;  // when all it began has ended
  double visible_at = 0;   // when other cores see what it wrote
  bool in_transfer = false;
  double transfer_begin = 0;

  double last() const { return std::max({free_at, complete_at, visible_at}); }
  bool is_empty() const { return pushed == popped; }
  bool is_full() const { return pushed - popped == kDepth; }
  Entry& front() { return slots[popped % kDepth]; }
  // Requires  its front is a wait.
  std::string wait_text();
};

struct CoreState {
  std::vector<Instruction> section;
  size_t next = 0;  // in section
  int64_t next_section = 0;
  double dispatch_time = 0;
  double issue_begin = 0;  // since when the scalar unit has issued unhindered
  double issue_end = 0;
  bool at_sync = false;
  bool is_queued = false;  // for progress
  bool has_worked = false;
  std::array<PipeState, kNumPipes> pipes;

  // Tokens of flag `flag` from pipe `from` of sibling `sibling` (of the same
  // core: 3) to pipe `to` here; made when first used.
  FlagTimes& flag(int sibling, Pipe from, Pipe to, uint8_t flag);

 private:
  static constexpr int kSiblings = 4;
  std::array<uint16_t, size_t{kSiblings} * kNumPipes * kNumPipes * kNumFlags>
      places_{};
  std::vector<FlagTimes> flags_;
};

}  // namespace tessera::npu
