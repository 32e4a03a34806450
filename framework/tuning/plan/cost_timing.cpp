// SPDX-License-Identifier: Apache-2.0
//
// Times segments, or finds what was timed before.

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <random>
#include <utility>

#include "framework/runtime/stage.hpp"
#include "framework/tuning/plan/probe_subject.hpp"
#include "framework/tuning/plan/runtime_plan.hpp"

namespace tessera {
namespace {

using planner::kDecode;
using planner::kPrefill;

double median(std::vector<double> values) {
  const auto middle =
      values.begin() + static_cast<ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

// A step of the workload, written to the arena of a stage.
StepSize fill_step(Stage& stage, uint32_t max_blocks_per_seq,
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

// Timed runs of one step, op by op.
struct OpTimes {
  std::vector<std::vector<double>> ns;  // by op, then run
  std::vector<std::string> kernels;     // by op
  double stage_ns = 0.0;                // of a run beyond its kernels, at least
};

// Shares a kernel's time among the linears it covers by their sizes, or among
// all its ops alike.
void share_out(const tsr_kernel_record& record, const Graph& graph,
               const Lowered& lowered, OpTimes& times) {
  const size_t last = std::min<size_t>(
      record.first_op + std::max(1U, record.num_ops), times.ns.size());
  std::vector<double> sizes;
  double total = 0.0;
  for (size_t op = record.first_op; op < last; ++op) {
    const uint32_t weight = weight_of(graph, lowered, op);
    const double size =
        weight == TSR_NONE
            ? 0.0
            : double{1} * graph.weights[weight].N * graph.weights[weight].K;
    sizes.push_back(size);
    total += size;
  }
  const auto ns = static_cast<double>(record.end_ns - record.begin_ns);
  for (size_t op = record.first_op; op < last; ++op) {
    const double share = total > 0.0 ? sizes[op - record.first_op] / total
                                     : 1.0 / static_cast<double>(sizes.size());
    times.ns[op].push_back(share * ns);
    times.kernels[op] = record.kernel;
  }
}

// The first run warms up and does not count.
Result<OpTimes> time_step(Stage& stage, const StepSize& size,
                          const Graph& graph, const Lowered& lowered,
                          uint32_t repeats) {
  using Clock = std::chrono::steady_clock;
  OpTimes times;
  times.ns.resize(lowered.ops.size());
  times.kernels.resize(lowered.ops.size());
  for (uint32_t run = 0; run <= repeats; ++run) {
    const Clock::time_point begin = Clock::now();
    TSR_RETURN_IF_ERROR(stage.run(size));
    const double wall =
        std::chrono::duration<double, std::nano>(Clock::now() - begin).count();
    TSR_ASSIGN_OR_RETURN(const auto records, stage.device().profile_read());
    if (run == 0) continue;
    double inside = 0.0;
    for (const tsr_kernel_record& record : records) {
      inside += static_cast<double>(record.end_ns - record.begin_ns);
      share_out(record, graph, lowered, times);
    }
    const double outside = std::max(0.0, wall - inside);
    times.stage_ns = run == 1 ? outside : std::min(times.stage_ns, outside);
  }
  return times;
}

}  // namespace

// Runs the segment as a stage.
Status CostProbe::measure(const Subject& subject, SegmentCost& cost) const {
  const StageInputs inputs{
      graph_,  subject.plan,    source_,
      limits_, kProbeBlockSize, limits_.max_blocks_per_seq * limits_.max_seqs,
      true};
  TSR_ASSIGN_OR_RETURN(
      const std::unique_ptr<Stage> stage,
      Stage::create(inputs, subject.segment.range(subject.device->name()),
                    subject.device));
  for (const uint32_t phase : {kPrefill, kDecode}) {
    const StepSize size =
        fill_step(*stage, limits_.max_blocks_per_seq, step_shape(phase));
    fill_inputs(*stage, size);
    TSR_ASSIGN_OR_RETURN(
        const OpTimes times,
        time_step(*stage, size, graph_, subject.lowered, options_.repeats));
    cost.stage_ns = phase == kPrefill ? times.stage_ns
                                      : std::min(cost.stage_ns, times.stage_ns);
    for (size_t op = 0; op < times.ns.size(); ++op) {
      planner::Cost& into = cost_of(graph_, subject.lowered, op, phase, cost);
      const double runs = phase == kPrefill ? prefill_steps() : 1.0;
      if (!times.ns[op].empty()) into.ns += runs * median(times.ns[op]);
      into.workspace_bytes = stage->memory().workspace_bytes;
      into.source = "measured";
      const uint32_t weight = weight_of(graph_, subject.lowered, op);
      for (LinearCost& linear : cost.linears) {
        if (linear.weight == weight) linear.kernel = times.kernels[op];
      }
    }
  }
  return {};
}

namespace {

MeasuredSegment to_measured(const Graph& graph, const SegmentCost& cost) {
  MeasuredSegment measured{cost.stage_ns, {{"", "", cost.own}}};
  for (const LinearCost& linear : cost.linears) {
    measured.parts.push_back({name_in_layer(graph.weights[linear.weight].name),
                              linear.kernel, linear.costs});
  }
  return measured;
}

// False if the parts are not those of the segment.
bool from_measured(const Graph& graph, const MeasuredSegment& measured,
                   SegmentCost& cost) {
  if (measured.parts.size() != cost.linears.size() + 1) return false;
  for (size_t i = 0; i < cost.linears.size(); ++i) {
    LinearCost& linear = cost.linears[i];
    const MeasuredPart& part = measured.parts[i + 1];
    if (part.name != name_in_layer(graph.weights[linear.weight].name))
      return false;
    linear.costs = part.costs;
    linear.kernel = part.kernel;
  }
  cost.own = measured.parts.front().costs;
  cost.stage_ns = measured.stage_ns;
  return true;
}

}  // namespace

CostKey CostProbe::key_of(const Subject& subject, const Scheme& scheme) const {
  const planner::Workload& work = options_.workload;
  CostKey key;
  key.device = device_fingerprint(*subject.device);
  key.threads = options_.threads;
  key.segment = subject.segment.signature;
  // A subset of the linears is another subject.
  for (const uint32_t weight : subject.segment.weights) {
    key.segment += " " + name_in_layer(graph_.weights[weight].name);
  }
  key.scheme = scheme.name;
  key.base =
      options_.base.name + " kv " + std::to_string(options_.base.kv_format);
  key.workload =
      fmt::format("prompt {} generate {} batch {} step {}", work.prompt,
                  work.generate, work.batch, step_tokens_);
  return key;
}

Result<bool> CostProbe::look_up(const CostKey& key, SegmentCost& cost) {
  if (options_.store == nullptr) return false;
  // What was timed anew a moment ago is not timed again.
  const bool is_timed =
      std::find(timed_.begin(), timed_.end(), key) != timed_.end();
  if (options_.remeasure && !is_timed) return false;
  TSR_ASSIGN_OR_RETURN(const std::optional<MeasuredSegment> known,
                       options_.store->find(key));
  return known && from_measured(graph_, *known, cost);
}

Status CostProbe::find_times(const Subject& subject, const Scheme& scheme,
                             ProbeDepth depth, SegmentCost& cost) {
  const bool simulated = subject.device->info().clock == TSR_CLOCK_SIMULATED;
  if (simulated || options_.repeats == 0) return estimate(subject, cost);
  const CostKey key = key_of(subject, scheme);
  TSR_ASSIGN_OR_RETURN(const bool found, look_up(key, cost));
  if (found) {
    ++counts_.found;
    return {};
  }
  if (depth == ProbeDepth::kEstimate) {
    SegmentCost asked = cost;
    if (estimate(subject, asked).ok()) {
      cost = std::move(asked);
      return {};
    }
  }
  ++counts_.measured;
  TSR_RETURN_IF_ERROR(measure(subject, cost));
  timed_.push_back(key);
  if (options_.store == nullptr) return {};
  return options_.store->put(key, to_measured(graph_, cost));
}

}  // namespace tessera
