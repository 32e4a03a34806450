// SPDX-License-Identifier: Apache-2.0

#include "backends/opencl/program.hpp"

#include <algorithm>
#include <cstdio>
#include <string>
#include <utility>

#include "backends/opencl/device.hpp"
#include "backends/opencl/weights.hpp"

namespace tessera::opencl {
namespace {

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

std::unique_ptr<RunningStep> Program::start(
    cl_command_queue queue, const sdk::SubmissionView& submission) {
  const std::lock_guard<std::mutex> lock(mutex_);
  const tsr_submission& value = submission.value();
  sdk::check_step(desc_, value);
  auto step = std::make_unique<RunningStep>();
  step->program = shared_from_this();
  places_->begin_step(queue, submission);
  if (fault_is_stale_.exchange(false)) {
    static const Fault kNone{};
    check_cl(
        clEnqueueWriteBuffer(queue, fault_->memory(), CL_FALSE, 0,
                             sizeof(kNone), kNone.data(), 0, nullptr, nullptr),
        "clEnqueueWriteBuffer");
  }
  const bool profile = (value.flags & TSR_SUBMIT_PROFILE) != 0;
  enqueue(queue, value, profile ? step.get() : nullptr);
  places_->end_step(queue);
  cl_event done = nullptr;
  check_cl(
      clEnqueueReadBuffer(queue, fault_->memory(), CL_FALSE, 0, sizeof(Fault),
                          step->fault.data(), 0, nullptr, &done),
      "clEnqueueReadBuffer");
  step->done.reset(done);
  check_cl(clFlush(queue), "clFlush");
  return step;
}

void Program::enqueue(cl_command_queue queue, const tsr_submission& submission,
                      RunningStep* profiled) {
  const Recording mode = device_.options().recording;
  if (profiled != nullptr || mode == Recording::kNever) {
    std::vector<EventHandle>* events =
        profiled == nullptr ? nullptr : &profiled->kernels;
    return launch_all(submission, {queue, events, nullptr}, profiled);
  }
  const Recordings::Choice choice = recordings_.choose(
      queue, submission, *places_, mode == Recording::kAtOnce);
  if (choice.commands != nullptr) return choice.commands->enqueue();
  if (!choice.record) {
    return launch_all(submission, {queue, nullptr, nullptr}, nullptr);
  }
  auto commands =
      std::make_unique<CommandBuffer>(device_.command_buffers(), queue);
  launch_all(submission, {queue, nullptr, commands.get()}, nullptr);
  commands->finish();
  recordings_.keep(std::move(commands)).enqueue();
}

void Program::launch_all(const tsr_submission& submission,
                         const Enqueue& enqueue, RunningStep* profiled) {
  const Step step{submission, *places_, fault_->memory(), enqueue};
  for (const auto& launch : launches_) {
    if (profiled != nullptr) {
      profiled->firsts.push_back(profiled->kernels.size());
    }
    launch->enqueue(step);
  }
  if (profiled != nullptr) {
    profiled->firsts.push_back(profiled->kernels.size());
  }
}

void Program::check(const Fault& fault) {
  if (fault[0] == 0) return;
  fault_is_stale_ = true;
  throw sdk::Error(TSR_INVALID_ARGUMENT, explain(fault));
}

void Program::add_profile(const RunningStep& step) {
  if (step.firsts.empty()) return;
  std::vector<tsr_kernel_record> records;
  for (uint32_t op = 0; op < launches_.size(); ++op) {
    tsr_kernel_record record =
        record_of(step.kernels, step.firsts[op], step.firsts[op + 1]);
    record.first_op = op;
    record.program = desc_.id;
    std::snprintf(record.kernel, sizeof(record.kernel), "%s",
                  launches_[op]->kernel_name().c_str());
    records.push_back(record);
  }
  device_.add_records(records);
}

void RunningStep::finish() {
  cl_int status = CL_COMPLETE;
  check_cl(clGetEventInfo(done.get(), CL_EVENT_COMMAND_EXECUTION_STATUS,
                          sizeof(status), &status, nullptr),
           "clGetEventInfo");
  if (status < 0) check_cl(status, "a step");
  program->check(fault);
  program->add_profile(*this);
}

}  // namespace tessera::opencl
