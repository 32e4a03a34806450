// SPDX-License-Identifier: Apache-2.0

#include "framework/tuning/plan/cost_probe.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <random>
#include <utility>

#include "framework/host/device/record_builder.hpp"
#include "framework/runtime/fit_scheme.hpp"
#include "framework/runtime/stage.hpp"
#include "framework/tensor/dtype.hpp"
#include "framework/tuning/plan/cost_source.hpp"
#include "framework/tuning/plan/probe_subject.hpp"

namespace tessera {
namespace {

using planner::kDecode;
using planner::kPrefill;

constexpr uint32_t kMaxStepTokens = 512;  // as `tessera run` steps

uint64_t constant_bytes(const tsr_tensor& tensor) {
  uint64_t count = 1;
  for (uint32_t d = 0; d < tensor.rank; ++d) count *= tensor.dims[d].max;
  return dtype_bytes(tensor.dtype, count);
}

}  // namespace

uint32_t step_tokens_of(const planner::Workload& workload) {
  const uint64_t all = uint64_t{workload.prompt} * workload.batch;
  const auto tokens =
      static_cast<uint32_t>(std::min<uint64_t>(all, kMaxStepTokens));
  return std::max({tokens, workload.batch, 1U});
}

CostProbe::CostProbe(const Graph& graph, const WeightSource& source,
                     const ProbeOptions& options)
    : graph_(graph),
      source_(source),
      options_(options),
      segments_(cut_segments(graph)) {
  const planner::Workload& work = options.workload;
  step_tokens_ = step_tokens_of(work);
  limits_ = {step_tokens_, work.batch, work.batch,
             probe_blocks_for(work.prompt + work.generate)};
}

uint32_t CostProbe::prefill_steps() const {
  const uint64_t tokens =
      uint64_t{options_.workload.prompt} * options_.workload.batch;
  return static_cast<uint32_t>((tokens + step_tokens_ - 1) / step_tokens_);
}

// The last step of a prompt is as much shorter as its tokens are fewer.
double CostProbe::runs_of(const GraphSegment& segment, uint32_t phase) const {
  if (phase == kDecode) return 1.0;
  if (segment.out_tensor == TSR_NONE) {
    return double{1} * options_.workload.batch /
           step_shape(kPrefill).num_outputs;
  }
  const double tokens =
      double{1} * options_.workload.prompt * options_.workload.batch;
  return std::max(tokens / step_tokens_, 1.0);
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

// A prefill step takes as many prompts as it has room for, one after the other;
// of a longer one it stands in the middle, where its tokens see as many others
// as all do in the mean.
tsr_step_shape CostProbe::step_shape(uint32_t phase) const {
  const planner::Workload& work = options_.workload;
  tsr_step_shape shape{};
  shape.struct_size = sizeof(shape);
  if (phase == kDecode) {
    shape.num_seqs = work.batch;
    shape.num_tokens = work.batch;
    shape.seq_len = work.prompt + std::max(1U, work.generate / 2);
    shape.phase = TSR_DECODE;
  } else {
    const uint32_t prompt = std::max(work.prompt, 1U);
    shape.num_seqs = std::min((step_tokens_ + prompt - 1) / prompt, work.batch);
    shape.num_tokens = step_tokens_;
    const uint32_t tokens =
        (step_tokens_ + shape.num_seqs - 1) / shape.num_seqs;
    shape.seq_len = std::max(tokens, (work.prompt + tokens) / 2);
    shape.phase = TSR_PREFILL;
  }
  shape.num_outputs = shape.num_seqs;
  return shape;
}

Lowered CostProbe::lower_range(const Plan& plan, const OpRange& range) const {
  const auto source_dtype = [this](const GraphTensor& tensor) {
    if (tensor.source.empty()) return uint32_t{TSR_F32};
    const Result<SourceTensor> found = source_.tensor(tensor.source);
    return found.ok() ? found->dtype : uint32_t{TSR_DTYPE_NONE};
  };
  return lower(graph_, plan, range, limits_, source_dtype);
}

Status CostProbe::describe(Subject& subject) {
  if (subject.segment.first != rounded_of_) {
    rounded_ = RoundedWeights(rounded_bytes_);
    rounded_of_ = subject.segment.first;
  }
  subject.lowered =
      lower_range(subject.plan, subject.segment.range(subject.device->name()));
  for (const uint32_t index : subject.lowered.weights) {
    const GraphWeight& weight = graph_.weights[index];
    TSR_ASSIGN_OR_RETURN(
        std::shared_ptr<const format::WeightData> data,
        rounded_
            .read(weight,
                  choose_linear(weight, subject.plan.of_weight(graph_, index)),
                  source_, &subject.device->plugin().pool())
            .annotate(weight.name));
    subject.views.push_back(data->view());
    subject.weights.push_back(std::move(data));
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
    desc.block_size = kProbeBlockSize;
    desc.num_blocks = limits.max_blocks_per_seq * limits.max_seqs;
    result.kv.push_back(desc);
  }
  return result;
}

}  // namespace

uint32_t weight_of(const Graph& graph, const Lowered& lowered, size_t op) {
  const auto* linear = std::get_if<tsr_op_linear>(&lowered.ops[op]);
  if (linear == nullptr) return TSR_NONE;
  const uint32_t index = lowered.weights[linear->weight];
  return graph.weights[index].is_head ? TSR_NONE : index;
}

planner::Cost& cost_of(const Graph& graph, const Lowered& lowered, size_t op,
                       uint32_t phase, SegmentCost& cost) {
  const uint32_t weight = weight_of(graph, lowered, op);
  for (LinearCost& linear : cost.linears) {
    if (linear.weight == weight) return linear.costs[phase];
  }
  return cost.own[phase];
}

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
    const uint64_t raw = subject.weights[i]->bytes();
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
      const double runs = runs_of(subject.segment, phase);
      into.ns += runs * static_cast<double>(found.mean_ns);
      into.energy_nj += runs * static_cast<double>(found.energy_nj);
      into.workspace_bytes =
          std::max(into.workspace_bytes, found.workspace_bytes);
      into.source = kEstimateSource;
    }
  }
  return {};
}

Result<SegmentCost> CostProbe::probe(const std::shared_ptr<Device>& device,
                                     const GraphSegment& segment,
                                     const Scheme& scheme, ProbeDepth depth) {
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
  const Status status = find_times(subject, scheme, depth, cost);
  // What cannot be run here is a refusal with its reason.
  if (!status.ok()) cost.refusal = status.message();
  return cost;
}

}  // namespace tessera
