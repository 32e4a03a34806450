// SPDX-License-Identifier: Apache-2.0
//
// Pipes carry local times: what a flag orders is known as soon as the flag's
// time is known, so only transfers through shared memory, whose length depends
// on what else moves, need one global order of events.

#include "backends/npu_sim/machine/machine.hpp"

#include <algorithm>
#include <queue>
#include <string>

#include "backends/npu_sim/machine/arbiter.hpp"
#include "backends/npu_sim/machine/check.hpp"
#include "backends/npu_sim/machine/core.hpp"
#include "backends/npu_sim/machine/costs.hpp"
#include "backends/npu_sim/machine/counting.hpp"
#include "backends/npu_sim/machine/l2_cache.hpp"
#include "tessera/error.hpp"

namespace tessera::npu {

namespace {

constexpr int kSameCore = 3;
constexpr size_t kMostReportedWaits = 12;
// What sharing DRAM and L2 anew costs this program, in instructions.
constexpr double kWorkOfTransfer = 16;

struct TransferStart {
  double time = 0;
  int64_t core = 0;
  int pipe = 0;

  // Of equal times, the lowest core first: runs are reproducible.
  bool operator<(const TransferStart& other) const {
    if (time != other.time) return time > other.time;
    if (core != other.core) return core > other.core;
    return pipe > other.pipe;
  }
};

class Machine {
 public:
  Machine(const Profile& profile, const Stream& stream, bool with_trace,
          double most_work)
      : profile_(profile),
        stream_(stream),
        with_trace_(with_trace),
        most_work_(most_work),
        arbiter_(profile.dram_rate(),
                 profile.assumptions.l2_global_bytes_per_cycle),
        cache_(static_cast<double>(profile.global.l2_bytes),
               1 / profile.assumptions.l2_capacity_share),
        cores_(stream.cores.size()) {}

  MachineRun run();

 private:
  Instruction* next_instruction(int64_t core);
  bool dispatch(int64_t core);
  void check_work() const;
  void issue(int64_t core, double slot_left);
  void trace(int64_t core, Pipe pipe, const char* name, double begin,
             double end);
  void trace_issue(int64_t core);
  bool step(int64_t core, int pipe);
  bool wait_flag(int64_t core, PipeState& pipe, double begin);
  void set_flag(int64_t core, const PipeState& pipe);
  void pop(PipeState& pipe);
  void progress(int64_t core);
  void progress_all();
  void queue_core(int64_t core);
  void start_transfer(const TransferStart& start);
  void finish_transfer();
  bool try_sync();
  bool is_idle(int64_t core) const;
  void record(int64_t core, int pipe, const Instruction& one, double begin,
              double end);
  [[noreturn]] void refuse(int64_t core, const Instruction& one,
                           const std::string& why) const;
  [[noreturn]] void report_deadlock();

  CoreState& state(int64_t core) { return cores_[static_cast<size_t>(core)]; }
  const Stream::Core& facts(int64_t core) const {
    return stream_.cores[static_cast<size_t>(core)];
  }
  int64_t num_cores() const { return static_cast<int64_t>(cores_.size()); }

  const Profile& profile_;
  const Stream& stream_;
  bool with_trace_;
  double most_work_;
  Arbiter arbiter_;
  L2Cache cache_;
  std::vector<CoreState> cores_;
  std::vector<int64_t> ready_;
  std::priority_queue<TransferStart> starts_;
  // Owner = core * kNumPipes + pipe: when its data may be seen after the end.
  std::vector<double> latency_ = std::vector<double>(cores_.size() * kNumPipes);
  std::vector<double> least_ = std::vector<double>(cores_.size() * kNumPipes);
  double spare_bytes_ = 0;
  int64_t transfers_ = 0;
  MachineRun result_;
};

void Machine::refuse(int64_t core, const Instruction& one,
                     const std::string& why) const {
  throw sdk::Error(TSR_INTERNAL, "stream " + stream_.label + ": core " +
                                     std::to_string(core) + ", " +
                                     name_of(one.pipe) + " " +
                                     disassemble(one) + ": " + why);
}

// The instruction that the scalar unit looks at; null at the end.
Instruction* Machine::next_instruction(int64_t core) {
  CoreState& here = state(core);
  while (here.next == here.section.size()) {
    if (here.next_section == facts(core).num_sections) return nullptr;
    here.section.clear();
    here.next = 0;
    stream_.emit(core, here.next_section++, here.section);
  }
  return &here.section[here.next];
}

// Streams are made as they run: nothing but time would end a long one.
void Machine::check_work() const {
  const double work = static_cast<double>(result_.counters.instructions) +
                      kWorkOfTransfer * static_cast<double>(transfers_);
  if (work <= most_work_) return;
  throw sdk::Error(
      TSR_INVALID_ARGUMENT,
      "stream " + stream_.label + ": simulated up to " +
          std::to_string(static_cast<int64_t>(most_work_ / 1e6)) +
          " million instructions, a transfer counting as 17, and not ended; a "
          "smaller problem or larger tiles would be");
}

// Hands one instruction over; false if the scalar unit has to wait.
bool Machine::dispatch(int64_t core) {
  CoreState& here = state(core);
  if (here.at_sync) return false;
  const Instruction* one = next_instruction(core);
  if (one == nullptr) return false;
  if (one->opcode == Opcode::kSyncAll) {
    here.at_sync = is_idle(core);
    return false;
  }
  PipeState& pipe = here.pipes.at(static_cast<size_t>(one->pipe));
  if (pipe.is_full()) return false;
  if (pipe.slots.empty()) pipe.slots.resize(PipeState::kDepth);
  const std::string wrong = violation(profile_, facts(core), *one);
  if (!wrong.empty()) refuse(core, *one, wrong);
  PipeState::Entry& slot = pipe.slots[pipe.pushed % PipeState::kDepth];
  issue(core, slot.left);
  slot.instruction = *one;
  slot.arrival = here.dispatch_time;
  ++pipe.pushed;
  ++here.next;
  ++result_.counters.instructions;
  check_work();
  return true;
}

// The scalar unit makes an instruction and then waits for its slot.
void Machine::issue(int64_t core, double slot_left) {
  CoreState& here = state(core);
  const double cycles = profile_.assumptions.dispatch_cycles;
  (facts(core).has_cube ? result_.counters.busy_cycles
                        : result_.counters.vector_core_busy_cycles)
      .at(static_cast<size_t>(Pipe::kScalar)) += cycles;
  if (here.dispatch_time > here.issue_end) {
    trace_issue(core);
    here.issue_begin = here.dispatch_time;
  }
  here.issue_end = here.dispatch_time + cycles;
  here.dispatch_time = std::max(here.issue_end, slot_left);
}

void Machine::trace_issue(int64_t core) {
  const CoreState& here = state(core);
  if (here.issue_end == here.issue_begin) return;
  trace(core, Pipe::kScalar, "issue", here.issue_begin, here.issue_end);
}

void Machine::pop(PipeState& pipe) {
  pipe.front().left = pipe.free_at;
  ++pipe.popped;
}

void Machine::record(int64_t core, int pipe, const Instruction& one,
                     double begin, double end) {
  Counters& counters = result_.counters;
  (facts(core).has_cube ? counters.busy_cycles
                        : counters.vector_core_busy_cycles)
      .at(static_cast<size_t>(pipe)) += end - begin;
  state(core).has_worked = true;
  trace(core, static_cast<Pipe>(pipe), name_of(one.opcode), begin, end);
}

void Machine::trace(int64_t core, Pipe pipe, const char* name, double begin,
                    double end) {
  if (!with_trace_) return;
  if (result_.trace.size() == kMostTraceEvents) {
    ++result_.trace_events_left_out;
  } else {
    result_.trace.push_back(
        {static_cast<int32_t>(core), pipe, name, begin, end});
  }
}

bool Machine::wait_flag(int64_t core, PipeState& pipe, double begin) {
  const Instruction& one = pipe.front().instruction;
  FlagTimes& flag = state(core).flag(one.cross_core ? one.sibling : kSameCore,
                                     one.peer, one.pipe, one.flag);
  if (flag.is_empty()) return false;
  pipe.free_at = std::max(begin, flag.pop());
  pop(pipe);
  return true;
}

// The flag is seen when all that the pipe began before it has ended.
void Machine::set_flag(int64_t core, const PipeState& pipe) {
  const Instruction& one =
      pipe.slots[pipe.popped % PipeState::kDepth].instruction;
  double time = std::max(pipe.free_at, pipe.complete_at);
  int64_t target = core;
  int from = kSameCore;
  if (one.cross_core) {
    time = std::max(time, pipe.visible_at) +
           profile_.assumptions.cross_core_cycles;
    target = core - facts(core).sibling + one.sibling;
    from = static_cast<int>(facts(core).sibling);
    if (target < 0 || target >= num_cores() ||
        facts(target).group != facts(core).group) {
      refuse(core, one, "no such sibling");
    }
  }
  FlagTimes& flag = state(target).flag(from, one.pipe, one.peer, one.flag);
  if (flag.is_full()) {
    refuse(core, one, "set 15 times and not waited for");
  }
  flag.push(time);
  if (target != core) queue_core(target);
}

// Runs the front of a queue as far as local times allow.
bool Machine::step(int64_t core, int index) {
  PipeState& pipe = state(core).pipes.at(static_cast<size_t>(index));
  if (pipe.is_empty() || pipe.in_transfer) return false;
  const PipeState::Entry& entry = pipe.front();
  const Instruction& one = entry.instruction;
  const double begin = std::max(pipe.free_at, entry.arrival);
  if (one.opcode == Opcode::kWaitFlag) return wait_flag(core, pipe, begin);
  if (one.opcode == Opcode::kSetFlag) {
    pipe.free_at = begin;
    set_flag(core, pipe);
    pop(pipe);
    return true;
  }
  count(one, result_.counters);
  if (uses_gm(one)) {
    pipe.in_transfer = true;
    pipe.transfer_begin = begin;
    starts_.push({begin, core, index});
    return false;
  }
  const Cost cost = cost_of(profile_, one);
  pipe.free_at = begin + cost.occupied_cycles;
  pipe.complete_at = std::max(pipe.complete_at, begin + cost.complete_cycles);
  record(core, index, one, begin, pipe.free_at);
  pop(pipe);
  return true;
}

void Machine::queue_core(int64_t core) {
  if (state(core).is_queued) return;
  state(core).is_queued = true;
  ready_.push_back(core);
}

void Machine::progress(int64_t core) {
  bool moved = true;
  while (moved) {
    moved = false;
    while (dispatch(core)) moved = true;
    for (int pipe = 0; pipe < kNumPipes; ++pipe) {
      while (step(core, pipe)) moved = true;
    }
  }
}

void Machine::progress_all() {
  while (!ready_.empty()) {
    const int64_t core = ready_.back();
    ready_.pop_back();
    state(core).is_queued = false;
    progress(core);
  }
}

bool Machine::is_idle(int64_t core) const {
  const CoreState& here = cores_[static_cast<size_t>(core)];
  return std::all_of(here.pipes.begin(), here.pipes.end(),
                     [](const PipeState& pipe) {
                       return pipe.is_empty() && !pipe.in_transfer;
                     });
}

void Machine::start_transfer(const TransferStart& start) {
  ++transfers_;
  PipeState& pipe = state(start.core).pipes.at(static_cast<size_t>(start.pipe));
  const Instruction& one = pipe.front().instruction;
  const TransferCost cost = transfer_cost_of(profile_, one);
  const bool writes = writes_gm(one);
  spare_bytes_ += arbiter_.take_spare_bytes();
  const double written = cache_.write_back(spare_bytes_);
  // Time that nothing was waiting for is gone.
  spare_bytes_ = written > 0 ? spare_bytes_ - written : 0;
  result_.counters.dram_write_bytes += written;
  // Regions begin at different addresses, so that is their key.
  const uint64_t region = gm_begin(one);
  const L2Access access = writes ? cache_.write(region, cost.bytes)
                                 : cache_.read(region, cost.bytes);
  Counters& counters = result_.counters;
  counters.dram_read_bytes += access.dram_read_bytes;
  counters.dram_write_bytes += access.dram_write_bytes;
  (writes ? counters.l2_write_bytes : counters.l2_read_bytes) += cost.bytes;
  if (!writes) counters.l2_hit_bytes += cost.bytes - access.dram_read_bytes;

  // Lines that hit and lines that miss come one after another.
  const double miss_rate = cost.miss_rate > 0
                               ? std::min(cost.miss_rate, cost.hit_rate)
                               : cost.hit_rate;
  const double rate = 1 / ((1 - access.miss_share) / cost.hit_rate +
                           access.miss_share / miss_rate);
  const double dram = access.dram_read_bytes + access.dram_write_bytes;
  const size_t owner = static_cast<size_t>(start.core) * kNumPipes +
                       static_cast<size_t>(start.pipe);
  latency_[owner] =
      cost.hit_latency_cycles +
      access.miss_share * (cost.miss_latency_cycles - cost.hit_latency_cycles);
  least_[owner] = cost.least_cycles;
  arbiter_.start({cost.bytes, rate, dram / std::max(cost.bytes, 1.0),
                  static_cast<int64_t>(owner)},
                 start.time);
}

void Machine::finish_transfer() {
  const double end = arbiter_.next_end();
  const int64_t owner = arbiter_.finish_next();
  const int64_t core = owner / kNumPipes;
  const int index = static_cast<int>(owner % kNumPipes);
  PipeState& pipe = state(core).pipes.at(static_cast<size_t>(index));
  pipe.free_at =
      std::max(end, pipe.transfer_begin + least_[static_cast<size_t>(owner)]);
  // A buffer is free when its data has left, seen by others some time later.
  double& seen_at =
      writes_gm(pipe.front().instruction) ? pipe.visible_at : pipe.complete_at;
  seen_at =
      std::max(seen_at, pipe.free_at + latency_[static_cast<size_t>(owner)]);
  pipe.in_transfer = false;
  record(core, index, pipe.front().instruction, pipe.transfer_begin,
         pipe.free_at);
  pop(pipe);
  queue_core(core);
}

// Lets all cores go on if all that have work left stand at a sync.
bool Machine::try_sync() {
  double latest = 0;
  bool any = false;
  for (int64_t core = 0; core < num_cores(); ++core) {
    CoreState& here = state(core);
    if (here.at_sync) any = true;
    if (!here.at_sync && next_instruction(core) != nullptr) return false;
    for (const PipeState& pipe : here.pipes) {
      latest = std::max(latest, pipe.last());
    }
  }
  if (!any) return false;
  for (int64_t core = 0; core < num_cores(); ++core) {
    CoreState& here = state(core);
    if (!here.at_sync) continue;
    here.at_sync = false;
    ++here.next;
    here.dispatch_time = latest + profile_.assumptions.cross_core_cycles;
    queue_core(core);
  }
  return true;
}

void Machine::report_deadlock() {
  std::string text = "stream " + stream_.label + ": deadlock:";
  size_t waits = 0;
  for (int64_t core = 0; core < num_cores(); ++core) {
    if (state(core).at_sync) {
      text += " core " + std::to_string(core) + " waits at sync_all;";
    }
    for (PipeState& pipe : state(core).pipes) {
      if (pipe.is_empty()) continue;
      if (waits++ == kMostReportedWaits) {
        throw sdk::Error(TSR_INTERNAL, text + " and more");
      }
      text += " core " + std::to_string(core) + " " + pipe.wait_text() + ";";
    }
  }
  text.pop_back();
  throw sdk::Error(TSR_INTERNAL, text);
}

MachineRun Machine::run() {
  for (int64_t core = num_cores() - 1; core >= 0; --core) queue_core(core);
  for (;;) {
    progress_all();
    const bool can_start = !starts_.empty();
    if (!can_start && arbiter_.is_idle()) {
      if (try_sync()) continue;
      break;
    }
    if (can_start &&
        (arbiter_.is_idle() || starts_.top().time <= arbiter_.next_end())) {
      const TransferStart start = starts_.top();
      starts_.pop();
      start_transfer(start);
    } else {
      finish_transfer();
    }
  }
  for (int64_t core = 0; core < num_cores(); ++core) {
    if (!is_idle(core) || next_instruction(core) != nullptr) report_deadlock();
    trace_issue(core);
    double latest = 0;
    for (const PipeState& pipe : state(core).pipes) {
      latest = std::max(latest, pipe.last());
    }
    if (state(core).has_worked) {
      ++result_.cores_used;
      result_.vector_cores_used += facts(core).has_cube ? 0 : 1;
    }
    result_.cycles = std::max(result_.cycles, latest);
  }
  return std::move(result_);
}

}  // namespace

MachineRun run_stream(const Profile& profile, const Stream& stream,
                      bool with_trace, double most_work) {
  return Machine(profile, stream, with_trace, most_work).run();
}

}  // namespace tessera::npu
