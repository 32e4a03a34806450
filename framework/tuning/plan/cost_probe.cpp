// SPDX-License-Identifier: Apache-2.0

#include "framework/tuning/plan/cost_probe.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <random>
#include <utility>

#include "framework/host/record_builder.hpp"
#include "framework/runtime/fit_scheme.hpp"
#include "framework/runtime/stage.hpp"
#include "framework/runtime/weight_loader.hpp"
#include "framework/tensor/dtype.hpp"

namespace tessera {
namespace {

using planner::kDecode;
using planner::kPrefill;

constexpr uint32_t kBlockSize = 16;
constexpr uint32_t kMaxStepTokens = 512;  // as `tessera run` steps

uint32_t blocks_for(uint32_t tokens) {
  return (tokens + kBlockSize - 1) / kBlockSize;
}

double median(std::vector<double> values) {
  const auto middle =
      values.begin() + static_cast<ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

uint64_t constant_bytes(const tsr_tensor& tensor) {
  uint64_t count = 1;
  for (uint32_t d = 0; d < tensor.rank; ++d) count *= tensor.dims[d].max;
  return dtype_bytes(tensor.dtype, count);
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
    for (uint32_t b = 0; b < blocks_for(shape.seq_len); ++b) {
      table[b] = static_cast<int32_t>(row * max_blocks_per_seq + b);
    }
    for (uint32_t i = 0; i < q_len; ++i) {
      const uint32_t at = size.num_tokens + i;
      const uint32_t position = shape.seq_len - q_len + i;
      arrays.token_ids[at] = 0;
      arrays.positions[at] = static_cast<int32_t>(position);
      arrays.slot_mapping[at] = static_cast<int32_t>(
          (row * max_blocks_per_seq + position / kBlockSize) * kBlockSize +
          position % kBlockSize);
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

}  // namespace

// What is being probed.
struct CostProbe::Subject {
  std::shared_ptr<Device> device;
  const GraphSegment& segment;
  Plan plan;
  std::vector<format::WeightData> weights;  // by lowered.weights
  std::vector<format::WeightView> views;
  Lowered lowered;
};

CostProbe::CostProbe(const Graph& graph, const WeightSource& source,
                     const ProbeOptions& options)
    : graph_(graph), source_(source), options_(options) {
  const planner::Workload& work = options.workload;
  step_tokens_ = static_cast<uint32_t>(
      std::min<uint64_t>(uint64_t{work.prompt} * work.batch, kMaxStepTokens));
  step_tokens_ = std::max({step_tokens_, work.batch, 1U});
  limits_ = {step_tokens_, work.batch, work.batch,
             blocks_for(work.prompt + work.generate)};
}

uint32_t CostProbe::prefill_steps() const {
  const uint64_t tokens =
      uint64_t{options_.workload.prompt} * options_.workload.batch;
  return static_cast<uint32_t>((tokens + step_tokens_ - 1) / step_tokens_);
}

std::array<uint64_t, 2> CostProbe::out_bytes(
    const GraphSegment& segment) const {
  if (segment.out_tensor == TSR_NONE) return {};
  const GraphTensor& tensor = graph_.tensors[segment.out_tensor];
  uint64_t row = sizeof(float);
  for (size_t d = 1; d < tensor.dims.size(); ++d) row *= tensor.dims[d].max;
  return {row * step_tokens_, row * options_.workload.batch};
}

Plan CostProbe::plan_for(const Device& device, const GraphSegment& segment,
                         const Scheme& scheme) const {
  const Scheme base = fit_scheme(options_.base, device);
  Plan plan = uniform_plan(graph_, device.name(), base);
  plan.weights.assign(graph_.weights.size(), base);
  for (const uint32_t weight : segment.weights) plan.weights[weight] = scheme;
  return plan;
}

tsr_step_shape CostProbe::step_shape(uint32_t phase) const {
  const planner::Workload& work = options_.workload;
  tsr_step_shape shape{};
  shape.struct_size = sizeof(shape);
  shape.num_seqs = work.batch;
  shape.num_outputs = work.batch;
  const bool prefill = phase == kPrefill;
  shape.num_tokens = prefill ? step_tokens_ : work.batch;
  shape.seq_len = prefill ? std::max(1U, step_tokens_ / work.batch)
                          : work.prompt + std::max(1U, work.generate / 2);
  shape.phase = prefill ? TSR_PREFILL : TSR_DECODE;
  return shape;
}

Status CostProbe::describe(Subject& subject) {
  const auto source_dtype = [this](const GraphTensor& tensor) {
    if (tensor.source.empty()) return uint32_t{TSR_F32};
    const Result<SourceTensor> found = source_.tensor(tensor.source);
    return found.ok() ? found->dtype : uint32_t{TSR_DTYPE_NONE};
  };
  subject.lowered =
      lower(graph_, subject.plan, subject.segment.range(subject.device->name()),
            limits_, source_dtype);
  for (const uint32_t index : subject.lowered.weights) {
    const GraphWeight& weight = graph_.weights[index];
    TSR_ASSIGN_OR_RETURN(
        format::WeightData data,
        read_weight(
            weight,
            choose_linear(weight, subject.plan.of_weight(graph_, index)),
            source_)
            .annotate(weight.name));
    subject.weights.push_back(std::move(data));
  }
  for (const format::WeightData& data : subject.weights) {
    subject.views.push_back(data.view());
  }
  return {};
}

namespace {

// Ops first .. last - 1 of a lowered segment as a program of their own.
std::vector<std::byte> record_of(const Lowered& lowered,
                                 const StepLimits& limits, size_t first,
                                 size_t last) {
  ProgramBuilder builder;
  builder.set_limits(limits.max_tokens, limits.max_seqs, limits.max_outputs,
                     limits.max_blocks_per_seq);
  for (const tsr_tensor& tensor : lowered.tensors) builder.add_tensor(tensor);
  for (size_t i = first; i < last; ++i) {
    std::visit([&builder](const auto& body) { builder.add_op(body); },
               lowered.ops[i]);
  }
  for (size_t i = 0; i < lowered.weights.size(); ++i) builder.add_weight(i + 1);
  for (size_t i = 0; i < lowered.kv.size(); ++i) builder.add_kv_pool(i + 1);
  return builder.build();
}

struct Descriptions {
  std::vector<tsr_weight_desc> weights;
  std::vector<tsr_kv_desc> kv;
};

Descriptions descriptions_of(const Graph& graph, const Plan& plan,
                             const Lowered& lowered,
                             const std::vector<format::WeightView>& views,
                             const StepLimits& limits) {
  Descriptions result;
  for (const format::WeightView& view : views) {
    result.weights.push_back(view.desc());
  }
  for (const uint32_t index : lowered.kv) {
    tsr_kv_desc desc{};
    desc.struct_size = sizeof(desc);
    desc.format = choose_kv_format(graph.kv[index], plan.layers[index].scheme);
    desc.num_kv_heads = graph.kv[index].num_kv_heads;
    desc.head_dim = graph.kv[index].head_dim;
    desc.block_size = kBlockSize;
    desc.num_blocks = limits.max_blocks_per_seq * limits.max_seqs;
    result.kv.push_back(desc);
  }
  return result;
}

// Index of the weight that an op of a lowered segment multiplies by; TSR_NONE
// for other ops, and for the head.
uint32_t weight_of(const Graph& graph, const Lowered& lowered, size_t op) {
  const auto* linear = std::get_if<tsr_op_linear>(&lowered.ops[op]);
  if (linear == nullptr) return TSR_NONE;
  const uint32_t index = lowered.weights[linear->weight];
  return graph.weights[index].is_head ? TSR_NONE : index;
}

// Adds what op `op` took to its linear, or to the segment's own.
planner::Cost& cost_of(const Graph& graph, const Lowered& lowered, size_t op,
                       uint32_t phase, SegmentCost& cost) {
  const uint32_t weight = weight_of(graph, lowered, op);
  for (LinearCost& linear : cost.linears) {
    if (linear.weight == weight) return linear.costs[phase];
  }
  return cost.own[phase];
}

}  // namespace

Result<std::string> CostProbe::find_refusal(const Subject& subject) const {
  const Descriptions parts = descriptions_of(
      graph_, subject.plan, subject.lowered, subject.views, limits_);
  TSR_ASSIGN_OR_RETURN(
      const std::vector<tsr_refusal> refusals,
      subject.device->check(
          record_of(subject.lowered, limits_, 0, subject.lowered.ops.size()),
          parts.weights, parts.kv));
  if (refusals.empty()) return std::string();
  const tsr_refusal& first = refusals.front();
  const uint32_t op = subject.segment.first + first.op;
  return fmt::format("{}: {}",
                     op < graph_.ops.size() ? graph_.ops[op].name : "op",
                     first.message);
}

Status CostProbe::find_bytes(const Subject& subject, SegmentCost& cost) const {
  const Lowered& lowered = subject.lowered;
  for (size_t i = 0; i < lowered.weights.size(); ++i) {
    TSR_ASSIGN_OR_RETURN(const tsr_packed_info info,
                         subject.device->query_weight(subject.views[i].desc()));
    const uint64_t raw = subject.weights[i].bytes();
    const uint64_t bytes = info.bytes == 0 ? raw : info.bytes;
    if (graph_.weights[lowered.weights[i]].is_head) {
      cost.resident_bytes += bytes;
      continue;
    }
    LinearCost linear;
    linear.weight = lowered.weights[i];
    linear.weight_bytes = bytes;
    linear.raw_bytes = info.bytes == 0 ? 0 : raw;
    linear.layout =
        info.bytes == 0 ? "in place" : fmt::format("{:x}", info.layout);
    cost.linears.push_back(std::move(linear));
  }
  for (uint32_t id = 0; id < lowered.places.size(); ++id) {
    if (lowered.places[id] != Place::kConstant) continue;
    cost.resident_bytes +=
        constant_bytes(lowered.tensors[lowered.program_id[id]]);
  }
  const Descriptions parts =
      descriptions_of(graph_, subject.plan, lowered, subject.views, limits_);
  for (const tsr_kv_desc& desc : parts.kv) {
    TSR_ASSIGN_OR_RETURN(const KvPool pool,
                         subject.device->create_kv_pool(desc));
    cost.resident_bytes += pool.bytes();
  }
  return {};
}

// Op by op; the sum leaves out what fusing them would save.
Status CostProbe::estimate(const Subject& subject, SegmentCost& cost) const {
  const Descriptions parts = descriptions_of(
      graph_, subject.plan, subject.lowered, subject.views, limits_);
  for (size_t op = 0; op < subject.lowered.ops.size(); ++op) {
    const std::vector<std::byte> record =
        record_of(subject.lowered, limits_, op, op + 1);
    for (const uint32_t phase : {kPrefill, kDecode}) {
      TSR_ASSIGN_OR_RETURN(
          const tsr_estimate found,
          subject.device
              ->estimate(record, parts.weights, parts.kv, step_shape(phase))
              .annotate(graph_.ops[subject.segment.first + op].name));
      planner::Cost& into = cost_of(graph_, subject.lowered, op, phase, cost);
      const double runs = phase == kPrefill ? prefill_steps() : 1.0;
      into.ns += runs * static_cast<double>(found.mean_ns);
      into.energy_nj += runs * static_cast<double>(found.energy_nj);
      into.workspace_bytes =
          std::max(into.workspace_bytes, found.workspace_bytes);
      into.source = "estimate";
    }
  }
  return {};
}

namespace {

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
      graph_,  subject.plan, source_,
      limits_, kBlockSize,   limits_.max_blocks_per_seq * limits_.max_seqs,
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

Result<SegmentCost> CostProbe::probe(const std::shared_ptr<Device>& device,
                                     const GraphSegment& segment,
                                     const Scheme& scheme) {
  Subject subject{device, segment, plan_for(*device, segment, scheme),
                  {},     {},      {}};
  SegmentCost cost;
  const Status described = describe(subject);
  if (!described.ok()) {
    // A scheme that this weight's shape or values do not go into.
    cost.refusal = described.message();
    return cost;
  }
  TSR_ASSIGN_OR_RETURN(cost.refusal, find_refusal(subject));
  if (!cost.refusal.empty()) return cost;
  TSR_RETURN_IF_ERROR(find_bytes(subject, cost));
  const bool simulated = device->info().clock == TSR_CLOCK_SIMULATED;
  const Status status = simulated || options_.repeats == 0
                            ? estimate(subject, cost)
                            : measure(subject, cost);
  // What cannot be run here is a refusal with its reason.
  if (!status.ok()) cost.refusal = status.message();
  return cost;
}

}  // namespace tessera
