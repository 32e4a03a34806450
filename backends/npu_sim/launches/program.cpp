// SPDX-License-Identifier: Apache-2.0

#include "backends/npu_sim/launches/program.hpp"

#include <cstdio>

#include "backends/npu_sim/device/device.hpp"

namespace tessera::npu {
namespace {

// The weights and pools that the program names, as `check` takes them.
sdk::ProgramQuestion question_of(const NpuDevice& device,
                                 const sdk::ProgramView& view) {
  sdk::ProgramQuestion question{view, {}, {}};
  for (const uint64_t id : view.weights()) {
    question.weights.push_back(device.weight(id)->desc());
  }
  for (const uint64_t id : view.kv_pools()) {
    question.kv_pools.push_back(device.kv_pool(id)->desc);
  }
  return question;
}

}  // namespace

Program::Program(NpuDevice& device, const sdk::ProgramView& view)
    : device_(device), desc_(view.desc()), places_(view, device) {
  const sdk::ProgramQuestion question = question_of(device, view);
  const std::vector<tsr_refusal> refusals = device.check(question);
  if (!refusals.empty()) {
    throw sdk::Error(TSR_UNIMPLEMENTED, "op " + std::to_string(refusals[0].op) +
                                            ": " + refusals[0].message);
  }
  for (uint32_t i = 0; i < view.ops().size(); ++i) {
    try {
      const sdk::OpFacts facts = sdk::read_op_facts(question, i);
      launches_.push_back(make_launch({device, view, view.ops()[i], facts}));
    } catch (const sdk::Error& error) {
      throw sdk::Error(error.code(),
                       "op " + std::to_string(i) + ": " + error.what());
    }
  }
}

tsr_program_info Program::info() const {
  tsr_program_info info{};
  info.struct_size = sizeof(info);
  info.num_segments = static_cast<uint32_t>(launches_.size());
  info.workspace_bytes = places_.workspace_bytes();
  return info;
}

tsr_segment Program::segment(uint32_t index) const {
  if (index >= launches_.size()) {
    throw sdk::Error(TSR_INVALID_ARGUMENT,
                     "segment " + std::to_string(index) + " of " +
                         std::to_string(launches_.size()));
  }
  tsr_segment segment{};
  segment.struct_size = sizeof(segment);
  segment.first_op = index;
  segment.num_ops = 1;
  std::snprintf(segment.kernel, sizeof(segment.kernel), "%s",
                launches_[index]->kernel_name().c_str());
  return segment;
}

void Program::check_step(const tsr_submission& submission) const {
  if (submission.num_tokens <= desc_.max_tokens &&
      submission.num_seqs <= desc_.max_seqs &&
      submission.num_outputs <= desc_.max_outputs &&
      submission.num_decode_tokens <= submission.num_tokens) {
    return;
  }
  throw sdk::Error(TSR_INVALID_ARGUMENT,
                   "step of " + std::to_string(submission.num_tokens) +
                       " tokens, " + std::to_string(submission.num_seqs) +
                       " sequences and " +
                       std::to_string(submission.num_outputs) +
                       " outputs exceeds the program's maxima");
}

void Program::run(const sdk::SubmissionView& submission,
                  std::vector<tsr_kernel_record>* records) {
  check_step(submission.value());
  places_.bind(submission);
  const Step step{submission.value(), places_};
  for (uint32_t op = 0; op < launches_.size(); ++op) {
    launches_[op]->run(step);
    if (records != nullptr) add_record(step, op, *records);
  }
}

void Program::add_record(const Step& step, uint32_t op,
                         std::vector<tsr_kernel_record>& records) const {
  const LaunchTime time = device_.timing().run(launches_[op]->problem(step));
  tsr_kernel_record record{};
  record.struct_size = sizeof(record);
  record.first_op = op;
  record.num_ops = 1;
  record.clock = TSR_CLOCK_SIMULATED;
  record.program = desc_.id;
  record.begin_ns = time.begin_ns;
  record.end_ns = time.end_ns;
  record.energy_nj = time.energy_nj;
  std::snprintf(record.kernel, sizeof(record.kernel), "%s",
                launches_[op]->kernel_name().c_str());
  for (size_t i = 0; i < time.counters.size(); ++i) {
    std::snprintf(record.counter_name[i], sizeof(record.counter_name[i]), "%s",
                  time.counters[i].name);
    record.counter[i] = time.counters[i].value;
  }
  records.push_back(record);
}

}  // namespace tessera::npu
