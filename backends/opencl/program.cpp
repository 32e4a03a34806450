// SPDX-License-Identifier: Apache-2.0

#include "backends/opencl/program.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <string>

#include "backends/opencl/device.hpp"
#include "backends/opencl/weights.hpp"

namespace tessera::opencl {
namespace {

// The first fault of a step: what, and the value that was wrong.
using Fault = std::array<cl_int, 2>;

// The weights and pools that the program names, as `check` takes them.
sdk::ProgramQuestion question_of(const OpenClDevice& device,
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

// As kernels/base.cl numbers them.
std::string explain(const Fault& fault) {
  const std::string value = std::to_string(fault[1]);
  switch (fault[0]) {
    case 1:
      return "row " + value + " is not in its table";
    case 2:
      return "position " + value + " is not in the rotation table";
    case 3:
      return "slot " + value + " is not in the pool";
    case 4:
      return "block " + value + " of a block table is not in the pool";
    default:
      return "sequence " + value +
             ": q_starts, seq_lens and block_table do not fit together";
  }
}

// Time of kernels first .. last - 1.
tsr_kernel_record record_of(const std::vector<EventHandle>& events,
                            size_t first, size_t last) {
  tsr_kernel_record record{};
  record.struct_size = sizeof(record);
  record.num_ops = 1;
  record.clock = TSR_CLOCK_WALL;
  for (size_t i = first; i < last; ++i) {
    cl_ulong begin = 0;
    cl_ulong end = 0;
    clGetEventProfilingInfo(events[i].get(), CL_PROFILING_COMMAND_START,
                            sizeof(begin), &begin, nullptr);
    clGetEventProfilingInfo(events[i].get(), CL_PROFILING_COMMAND_END,
                            sizeof(end), &end, nullptr);
    if (i == first) record.begin_ns = begin;
    record.end_ns = std::max<uint64_t>(record.end_ns, end);
  }
  return record;
}

}  // namespace

Program::Program(OpenClDevice& device, const sdk::ProgramView& view)
    : device_(device), desc_(view.desc()) {
  make_launches(view);
  std::vector<uint64_t> scratch_bytes;
  for (const auto& launch : launches_) {
    scratch_bytes.push_back(launch->scratch_bytes());
  }
  places_ = std::make_unique<TensorPlaces>(device, view, scratch_bytes);
  const Fault none{};
  fault_ = device.create_private(sizeof(none));
  const OpenClDevice::QueueLock queue = device.lock_queue();
  fault_->write(queue.get(), 0, sizeof(none), none.data());
}

void Program::make_launches(const sdk::ProgramView& view) {
  const sdk::ProgramQuestion question = question_of(device_, view);
  const std::vector<tsr_refusal> refusals = device_.check(question);
  if (!refusals.empty()) {
    throw sdk::Error(TSR_UNIMPLEMENTED, "op " + std::to_string(refusals[0].op) +
                                            ": " + refusals[0].message);
  }
  for (uint32_t i = 0; i < view.ops().size(); ++i) {
    try {
      const sdk::OpFacts facts = sdk::read_op_facts(question, i);
      launches_.push_back(
          make_launch({device_, view, view.ops()[i], facts, i}));
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
  info.workspace_bytes = places_->workspace_bytes();
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

void Program::run(cl_command_queue queue,
                  const sdk::SubmissionView& submission) {
  const std::lock_guard<std::mutex> lock(mutex_);
  sdk::check_step(desc_, submission.value());
  places_->begin_step(queue, submission);
  enqueue(queue, submission);
  places_->end_step(queue);
}

void Program::enqueue(cl_command_queue queue,
                      const sdk::SubmissionView& submission) {
  const bool profile = (submission.value().flags & TSR_SUBMIT_PROFILE) != 0;
  std::vector<EventHandle> events;
  std::vector<size_t> firsts;  // event of each op, and their end
  const Step step{submission.value(),
                  *places_,
                  fault_->memory(),
                  {queue, profile ? &events : nullptr}};
  for (const auto& launch : launches_) {
    firsts.push_back(events.size());
    launch->enqueue(step);
  }
  check_faults(queue);
  if (!profile) return;
  std::vector<tsr_kernel_record> records;
  firsts.push_back(events.size());
  for (uint32_t op = 0; op < launches_.size(); ++op) {
    tsr_kernel_record record = record_of(events, firsts[op], firsts[op + 1]);
    record.first_op = op;
    record.program = desc_.id;
    std::snprintf(record.kernel, sizeof(record.kernel), "%s",
                  launches_[op]->kernel_name().c_str());
    records.push_back(record);
  }
  device_.add_records(records);
}

// Reading the fault waits for all that is enqueued.
void Program::check_faults(cl_command_queue queue) {
  Fault fault{};
  check_cl(
      clEnqueueReadBuffer(queue, fault_->memory(), CL_TRUE, 0, sizeof(fault),
                          fault.data(), 0, nullptr, nullptr),
      "a step");
  if (fault[0] == 0) return;
  const Fault none{};
  fault_->write(queue, 0, sizeof(none), none.data());
  places_->end_step(queue);
  throw sdk::Error(TSR_INVALID_ARGUMENT, explain(fault));
}

}  // namespace tessera::opencl
