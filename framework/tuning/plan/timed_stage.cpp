// SPDX-License-Identifier: Apache-2.0

#include "framework/tuning/plan/timed_stage.hpp"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <random>
#include <utility>

#include "framework/base/machine_load.hpp"
#include "framework/tuning/plan/probe_subject.hpp"

namespace tessera {
namespace {

// Of the machine's cores; above it, figures are disturbed.
constexpr double kOthersShare = 0.06;

}  // namespace

StepSize write_step(Stage& stage, uint32_t max_blocks_per_seq,
                    const tsr_step_shape& shape) {
  StepArrays arrays(stage.arena(), stage.arena_layout(), max_blocks_per_seq);
  StepSize size;
  for (uint32_t s = 0; s < shape.num_seqs; ++s) {
    const uint32_t q_len = (shape.num_tokens + s) / shape.num_seqs;
    if (q_len == 0) continue;
    const uint32_t row = size.num_seqs++;
    arrays.q_starts[row] = static_cast<int32_t>(size.num_tokens);
    arrays.seq_lens[row] = static_cast<int32_t>(shape.seq_len);
    int32_t* table = arrays.block_table + size_t{row} * max_blocks_per_seq;
    for (uint32_t b = 0; b < probe_blocks_for(shape.seq_len); ++b) {
      table[b] = static_cast<int32_t>(row * max_blocks_per_seq + b);
    }
    for (uint32_t i = 0; i < q_len; ++i) {
      const uint32_t at = size.num_tokens + i;
      const uint32_t position = shape.seq_len - q_len + i;
      arrays.token_ids[at] = 0;
      arrays.positions[at] = static_cast<int32_t>(position);
      arrays.slot_mapping[at] = static_cast<int32_t>(
          (row * max_blocks_per_seq + position / kProbeBlockSize) *
              kProbeBlockSize +
          position % kProbeBlockSize);
    }
    size.num_tokens += q_len;
    size.max_q_len = std::max(size.max_q_len, q_len);
    arrays.output_rows[row] = static_cast<int32_t>(size.num_tokens - 1);
  }
  arrays.q_starts[size.num_seqs] = static_cast<int32_t>(size.num_tokens);
  size.num_outputs = size.num_seqs;
  size.max_seq_len = shape.seq_len;
  if (shape.phase == TSR_DECODE) size.num_decode_tokens = size.num_tokens;
  return size;
}

namespace {

void fill_inputs(const Stage& stage, const StepSize& size) {
  std::mt19937 rng(42);
  std::normal_distribution<float> normal;
  for (const BoundaryTensor& input : stage.inputs()) {
    if (input.dtype != TSR_F32) continue;
    const uint64_t count = size.num_tokens * input.row_bytes / sizeof(float);
    for (uint64_t i = 0; i < count; ++i) {
      const float value = normal(rng);
      std::memcpy(input.memory + i * sizeof(float), &value, sizeof(value));
    }
  }
}

// What a run's records say of its ops.
struct OpRecords {
  std::vector<double> ns;
  std::vector<double> launches;  // kernels begun
};

// A kernel goes to the ops it covers by their sizes, or to all alike.
void share_out(const tsr_kernel_record& record,
               const std::vector<double>& op_sizes, OpRecords& out,
               std::vector<std::string>& out_kernels) {
  const size_t last = std::min<size_t>(
      record.first_op + std::max(1U, record.num_ops), op_sizes.size());
  double total = 0.0;
  for (size_t op = record.first_op; op < last; ++op) total += op_sizes[op];
  const auto ns = static_cast<double>(record.end_ns - record.begin_ns);
  for (size_t op = record.first_op; op < last; ++op) {
    const double share =
        total > 0.0 ? op_sizes[op] / total
                    : 1.0 / static_cast<double>(last - record.first_op);
    out.ns[op] += share * ns;
    out.launches[op] += share;
    out_kernels[op] = record.kernel;
  }
}

}  // namespace

std::function<bool()> watch_others() {
  return [machine = MachineLoad()] {
    const double share = machine.others_share();
    return share < 0.0 || share > kOthersShare;
  };
}

Result<double> time_by_clock(Stage& stage, const StepSize& size) {
  using Clock = std::chrono::steady_clock;
  const Clock::time_point begin = Clock::now();
  TSR_RETURN_IF_ERROR(stage.run(size));
  return std::chrono::duration<double, std::nano>(Clock::now() - begin).count();
}

Result<std::vector<double>> time_stages(const StageSet& stages,
                                        const StepSize& size) {
  uint64_t device_ns = 0;
  std::string failed;
  std::vector<double> ns;
  TSR_RETURN_IF_ERROR(
      stages.run(size, device_ns, failed, &ns).annotate(failed));
  return ns;
}

Result<std::vector<tsr_kernel_record>> record_on_device(Stage& stage,
                                                        const StepSize& size) {
  TSR_RETURN_IF_ERROR(stage.run(size));
  return stage.device().profile_read();
}

double median_of(std::vector<double> values) {
  const auto middle =
      values.begin() + static_cast<ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

Result<TimedStage> TimedStage::create(const StageInputs& inputs,
                                      const OpRange& range,
                                      const std::shared_ptr<Device>& device,
                                      RunTimer timer, uint32_t front_ops) {
  Residents residents;
  StageInputs shared{inputs.graph,  inputs.plan,       inputs.source,
                     inputs.limits, inputs.block_size, inputs.kv_blocks,
                     false,         &residents};
  TimedStage timed;
  timed.timer_ = std::move(timer);
  TSR_ASSIGN_OR_RETURN(timed.plain_, Stage::create(shared, range, device));
  if (front_ops > 0) {
    OpRange front = range;
    front.last = range.first + front_ops;
    TSR_ASSIGN_OR_RETURN(timed.front_, Stage::create(shared, front, device));
  }
  shared.profile = true;
  TSR_ASSIGN_OR_RETURN(timed.recorded_, Stage::create(shared, range, device));
  return timed;
}

void TimedStage::prepare(const tsr_step_shape& shape,
                         uint32_t max_blocks_per_seq) {
  for (Stage* stage : {plain_.get(), recorded_.get(), front_.get()}) {
    if (stage == nullptr) continue;
    size_ = write_step(*stage, max_blocks_per_seq, shape);
    fill_inputs(*stage, size_);
  }
}

OpRounds::OpRounds(std::vector<double> op_sizes, uint32_t front_ops)
    : op_sizes_(std::move(op_sizes)),
      front_ops_(front_ops),
      ns_(op_sizes_.size()),
      kernels_(op_sizes_.size()) {}

Status OpRounds::add_round(TimedStage& stage) {
  if (walls_.empty()) {
    TSR_RETURN_IF_ERROR(stage.time_run().status());
    if (front_ops_ > 0) TSR_RETURN_IF_ERROR(stage.time_front().status());
  }
  const bool has_enough =
      walls_.size() >= kRecordedRounds && quiet_time(walls_).ns > kLongRunNs;
  if (!has_enough) TSR_RETURN_IF_ERROR(add_records(stage));
  return add_walls(stage, !has_enough);
}

// Medians of some runs.
Status OpRounds::add_walls(TimedStage& stage, bool is_behind_whole) {
  std::vector<double> walls;
  std::vector<double> fronts;
  double spent = 0.0;
  while (walls.size() < kMostRunsOfRound && spent < kEnoughNsOfRound) {
    if (front_ops_ > 0 && !is_behind_whole) {
      TSR_RETURN_IF_ERROR(stage.time_run().status());
    }
    TSR_ASSIGN_OR_RETURN(const double wall, stage.time_run());
    spent += wall;
    walls.push_back(wall);
    if (front_ops_ == 0) continue;
    TSR_ASSIGN_OR_RETURN(const double front, stage.time_front());
    fronts.push_back(front);
    is_behind_whole = false;
  }
  walls_.push_back(median_of(walls));
  if (front_ops_ > 0) fronts_.push_back(median_of(fronts));
  return {};
}

Status OpRounds::add_records(TimedStage& stage) {
  TSR_ASSIGN_OR_RETURN(const auto records, stage.record_run());
  OpRecords of_round{std::vector<double>(ns_.size(), 0.0),
                     std::vector<double>(ns_.size(), 0.0)};
  for (const tsr_kernel_record& record : records) {
    share_out(record, op_sizes_, of_round, kernels_);
  }
  for (size_t op = 0; op < ns_.size(); ++op) ns_[op].push_back(of_round.ns[op]);
  launches_ = std::move(of_round.launches);
  return {};
}

// Kernels whose records lie beside each other leave gaps between them, of which
// each begins one; where recording makes them longer, all are as much shorter.
void OpRounds::share_wall(double ns, size_t begin, size_t end,
                          OpTimes& times) const {
  double inside = 0.0;
  double launches = 0.0;
  for (size_t op = begin; op < end; ++op) {
    inside += times.ns[op];
    launches += launches_[op];
  }
  for (size_t op = begin; op < end; ++op) {
    double& of_op = times.ns[op];
    if (inside <= 0.0) {  // a device without records: all ops alike
      of_op = ns / static_cast<double>(end - begin);
    } else if (ns < inside) {
      of_op *= ns / inside;
    } else {
      of_op += (ns - inside) * launches_[op] / launches;
    }
  }
}

// What else the machine does makes records longer, and there may be two only.
OpTimes OpRounds::times(double stage_ns,
                        const std::vector<size_t>& rounds) const {
  const SpreadTime wall = time_in(rounds, walls_);
  OpTimes times;
  times.kernels = kernels_;
  times.spread = wall.spread;
  for (const std::vector<double>& of_op : ns_) {
    times.ns.push_back(quiet_time(of_op).ns);
  }
  double rest = wall.ns;
  if (front_ops_ > 0) {
    const double front = std::min(time_in(rounds, fronts_).ns, wall.ns);
    rest -= front;
    share_wall(std::max(front - stage_ns, 0.0), 0, front_ops_, times);
  } else {
    rest -= stage_ns;
  }
  share_wall(std::max(rest, 0.0), front_ops_, ns_.size(), times);
  return times;
}

}  // namespace tessera
