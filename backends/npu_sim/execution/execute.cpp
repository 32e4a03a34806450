// SPDX-License-Identifier: Apache-2.0
//
// Queues and flags as in machine/, without time: a pipe runs until a flag
// stops it.

#include "backends/npu_sim/execution/execute.hpp"

#include <algorithm>
#include <array>
#include <deque>
#include <string>

#include "backends/npu_sim/execution/core_memory.hpp"
#include "backends/npu_sim/machine/check.hpp"
#include "tessera/error.hpp"

namespace tessera::npu {
namespace {

constexpr int kSameCore = 3;

struct ExecutedCore {
  explicit ExecutedCore(const Profile& profile) : memory(profile) {}

  CoreMemory memory;
  std::array<std::deque<Instruction>, kNumPipes> pipes;
  // By sibling, from, to and flag.
  std::map<std::array<int, 4>, int64_t> flags;
  bool has_all = false;
};

class Executor {
 public:
  Executor(const Profile& profile, const Stream& stream, Memory& memory)
      : profile_(profile), stream_(stream), memory_(memory) {
    for (size_t i = 0; i < stream.cores.size(); ++i) {
      cores_.emplace_back(profile);
    }
  }
  void run();

 private:
  void load_until_sync(size_t core);
  bool step(size_t core, size_t pipe);
  void drain_all();
  [[noreturn]] void refuse(size_t core, const Instruction& one,
                           const std::string& why) const;

  const Profile& profile_;
  const Stream& stream_;
  Memory& memory_;
  std::vector<ExecutedCore> cores_;
  std::vector<std::vector<Instruction>> waiting_;  // behind a sync, by core
  std::vector<size_t> next_;
};

void Executor::refuse(size_t core, const Instruction& one,
                      const std::string& why) const {
  throw sdk::Error(TSR_INTERNAL, "stream " + stream_.label + ": core " +
                                     std::to_string(core) + ", " +
                                     name_of(one.pipe) + " " +
                                     disassemble(one) + ": " + why);
}

// Fills the queues up to the next point where all cores meet.
void Executor::load_until_sync(size_t core) {
  std::vector<Instruction>& list = waiting_[core];
  size_t& at = next_[core];
  for (; at < list.size(); ++at) {
    const Instruction& one = list[at];
    if (one.opcode == Opcode::kSyncAll) {
      ++at;
      return;
    }
    const std::string wrong = violation(profile_, stream_.cores[core], one);
    if (!wrong.empty()) refuse(core, one, wrong);
    cores_[core].pipes.at(static_cast<size_t>(one.pipe)).push_back(one);
  }
}

bool Executor::step(size_t core, size_t pipe) {
  std::deque<Instruction>& queue = cores_[core].pipes.at(pipe);
  if (queue.empty()) return false;
  const Instruction one = queue.front();
  const auto number = [](Pipe name) { return static_cast<int>(name); };
  if (one.opcode == Opcode::kWaitFlag) {
    const int from = one.cross_core ? one.sibling : kSameCore;
    int64_t& count =
        cores_[core]
            .flags[{from, number(one.peer), number(one.pipe), one.flag}];
    if (count == 0) return false;
    --count;
  } else if (one.opcode == Opcode::kSetFlag) {
    const Stream::Core& facts = stream_.cores[core];
    const size_t target =
        one.cross_core ? core - static_cast<size_t>(facts.sibling) + one.sibling
                       : core;
    if (target >= cores_.size()) refuse(core, one, "no such sibling");
    const int from =
        one.cross_core ? static_cast<int>(facts.sibling) : kSameCore;
    ++cores_[target]
          .flags[{from, number(one.pipe), number(one.peer), one.flag}];
  } else if (one.opcode != Opcode::kScalar) {
    const std::string why = cores_[core].memory.run(one, memory_);
    if (!why.empty()) {
      throw sdk::Error(TSR_UNIMPLEMENTED, "stream " + stream_.label + ": " +
                                              disassemble(one) + ": " + why);
    }
  }
  queue.pop_front();
  return true;
}

void Executor::drain_all() {
  bool moved = true;
  while (moved) {
    moved = false;
    for (size_t core = 0; core < cores_.size(); ++core) {
      for (size_t pipe = 0; pipe < kNumPipes; ++pipe) {
        while (step(core, pipe)) moved = true;
      }
    }
  }
  for (size_t core = 0; core < cores_.size(); ++core) {
    for (const auto& queue : cores_[core].pipes) {
      if (!queue.empty()) {
        refuse(core, queue.front(), "deadlock: nobody sets this flag");
      }
    }
  }
}

void Executor::run() {
  waiting_.resize(cores_.size());
  next_.resize(cores_.size());
  for (size_t core = 0; core < cores_.size(); ++core) {
    const int64_t sections = stream_.cores[core].num_sections;
    for (int64_t section = 0; section < sections; ++section) {
      stream_.emit(static_cast<int64_t>(core), section, waiting_[core]);
    }
  }
  bool is_left = true;
  while (is_left) {
    for (size_t core = 0; core < cores_.size(); ++core) load_until_sync(core);
    drain_all();
    is_left = false;
    for (size_t core = 0; core < cores_.size(); ++core) {
      is_left = is_left || next_[core] < waiting_[core].size();
    }
  }
}

}  // namespace

void execute(const Profile& profile, const Stream& stream, Memory& memory) {
  Executor(profile, stream, memory).run();
}

}  // namespace tessera::npu
