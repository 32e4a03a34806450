// SPDX-License-Identifier: Apache-2.0

#include "framework/runtime/stages/stage_set.hpp"

#include <chrono>
#include <cstring>
#include <utility>

namespace tessera {
namespace {

using Clock = std::chrono::steady_clock;

uint32_t rows_of(uint32_t symbol, const StepSize& size) {
  return symbol == TSR_DIM_OUTPUTS ? size.num_outputs : size.num_tokens;
}

// `rows` rows of what one program wrote to where another reads them: all
// columns, or those that are a part.
void copy_rows(const BoundaryTensor& from, const BoundaryTensor& to,
               uint64_t rows) {
  if (from.row_bytes == to.row_bytes) {
    std::memcpy(to.memory, from.memory, rows * from.row_bytes);
    return;
  }
  for (uint64_t row = 0; row < rows; ++row) {
    std::memcpy(to.memory + row * to.row_bytes + from.offset_in_row,
                from.memory + row * from.row_bytes, from.row_bytes);
  }
}

bool divides(const Plan& plan) {
  for (const auto& parts : plan.parts) {
    if (!parts.empty()) return true;
  }
  return false;
}

}  // namespace

Result<std::unique_ptr<StageSet>> StageSet::create(const StageInputs& inputs,
                                                   const DeviceMap& devices) {
  std::unique_ptr<StageSet> set(new StageSet());
  const Graph* graph = &inputs.graph;
  const Plan* plan = &inputs.plan;
  if (divides(inputs.plan)) {
    TSR_ASSIGN_OR_RETURN(set->divided_,
                         divide_linears(inputs.graph, inputs.plan));
    graph = &set->divided_->graph;
    plan = &set->divided_->plan;
  }
  const StageInputs own{*graph,
                        *plan,
                        inputs.source,
                        inputs.limits,
                        inputs.block_size,
                        inputs.kv_blocks,
                        inputs.profile,
                        inputs.residents};
  for (const OpRange& range : split_by_device(*graph, *plan)) {
    const auto device = devices.find(range.device);
    if (device == devices.end()) {
      return Status(TSR_NOT_FOUND, "no device " + range.device);
    }
    TSR_ASSIGN_OR_RETURN(
        std::unique_ptr<Stage> stage,
        Stage::create(own, range, device->second).annotate(range.device));
    set->stages_.push_back(std::move(stage));
    set->groups_.push_back(range.group);
  }
  for (const BoundaryTensor& output : set->stages_.back()->outputs()) {
    if (output.graph_tensor == graph->logits) {
      set->logits_ = reinterpret_cast<const float*>(output.memory);
    }
  }
  return set;
}

Status StageSet::run(const StepSize& size, uint64_t& device_ns,
                     std::string& out_failed,
                     std::vector<double>* out_group_ns) const {
  size_t begin = 0;
  Clock::time_point end_before = Clock::now();
  while (begin < stages_.size()) {
    size_t end = begin + 1;
    while (groups_[begin] != 0 && end < stages_.size() &&
           groups_[end] == groups_[begin]) {
      ++end;
    }
    for (size_t i = std::max<size_t>(begin, 1); i < end; ++i) {
      std::memcpy(stages_[i]->arena(), stages_[0]->arena(),
                  stages_[0]->arena_bytes());
    }
    const Clock::time_point start = Clock::now();
    TSR_RETURN_IF_ERROR(run_group(begin, end, size, out_failed));
    device_ns += static_cast<uint64_t>(
        std::chrono::duration_cast<std::chrono::nanoseconds>(Clock::now() -
                                                             start)
            .count());
    for (size_t i = begin; i < end; ++i) pass_on(*stages_[i], end, size);
    begin = end;
    if (out_group_ns == nullptr) continue;
    const Clock::time_point now = Clock::now();
    out_group_ns->push_back(
        std::chrono::duration<double, std::nano>(now - end_before).count());
    end_before = now;
  }
  return {};
}

// What was submitted is waited for, whatever fails.
Status StageSet::run_group(size_t begin, size_t end, const StepSize& size,
                           std::string& out_failed) const {
  Status first_failure;
  const auto note = [&](const Stage& stage, Status status) {
    if (status.ok() || !first_failure.ok()) return;
    out_failed = stage.device().name();
    first_failure = std::move(status);
  };
  size_t submitted = begin;
  while (submitted < end && first_failure.ok()) {
    Status status = stages_[submitted]->submit(size);
    if (status.ok()) {
      ++submitted;
    } else {
      note(*stages_[submitted], std::move(status));
    }
  }
  for (size_t i = begin; i < submitted; ++i)
    note(*stages_[i], stages_[i]->wait());
  return first_failure;
}

// Copies what `from` wrote to the inputs of stages from `to` on.
void StageSet::pass_on(const Stage& from, size_t to,
                       const StepSize& size) const {
  for (const BoundaryTensor& written : from.outputs()) {
    for (size_t i = to; i < stages_.size(); ++i) {
      for (const BoundaryTensor& read : stages_[i]->inputs()) {
        if (read.graph_tensor != written.graph_tensor) continue;
        copy_rows(written, read, rows_of(written.symbol, size));
      }
    }
  }
}

}  // namespace tessera
