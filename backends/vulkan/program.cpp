// SPDX-License-Identifier: Apache-2.0

#include "backends/vulkan/program.hpp"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <map>
#include <string>
#include <utility>

#include "backends/vulkan/device.hpp"
#include "backends/vulkan/weights.hpp"
#include "tessera/operands.hpp"

namespace tessera::vulkan {
namespace {

// The first fault of a step: what, and the value that was wrong.
struct Fault {
  int32_t kind;
  int32_t value;
};

constexpr size_t kNumCounts = 5;     // of a step's shape
constexpr uint64_t kFirstSlot = 64;  // the fault is before it

// The weights and pools that the program names, as `check` takes them.
sdk::ProgramQuestion question_of(const VulkanDevice& device,
                                 const sdk::ProgramView& view) {
  sdk::ProgramQuestion question{view, {}, {}};
  for (const uint64_t id : view.weights()) {
    question.weights.push_back(device.weight(id)->desc());
  }
  for (const uint64_t id : view.kv_pools()) {
    question.kv_pools.push_back(device.kv_pool(id)->desc());
  }
  return question;
}

uint32_t root_of(const sdk::ProgramView& view, uint32_t id) {
  const uint32_t view_of = view.tensors()[id].view_of;
  return view_of == TSR_NONE ? id : view_of;
}

// Of the program's own memory, which nobody else writes.
bool is_own(const sdk::ProgramView& view, uint32_t id) {
  return (view.tensors()[root_of(view, id)].flags & TSR_TENSOR_TRANSIENT) != 0;
}

// As shaders/base.glsl numbers them.
std::string explain(const Fault& fault) {
  const std::string value = std::to_string(fault.value);
  switch (fault.kind) {
    case 1:
      return "row " + value + " is not in its table";
    case 2:
      return "position " + value + " is not in the rotation table";
    case 3:
      return "slot " + value + " is not in the pool";
    case 4:
      return "block " + value + " of a block table is not in the pool";
    case 6:
      return "sequence " + value +
             " has more keys than this driver lets a loop go through";
    default:
      return "sequence " + value +
             ": q_starts, seq_lens and block_table do not fit together";
  }
}

}  // namespace

Program::Program(VulkanDevice& device, const sdk::ProgramView& view)
    : device_(device), desc_(view.desc()) {
  make_launches(view);
  make_records();
  for (const auto& launch : launches_) {
    first_slots_.push_back(num_slots_);
    num_slots_ += launch->num_slots();
  }
  places_ = std::make_unique<TensorPlaces>(device, view, share_inputs(view));
  const uint64_t bytes = kFirstSlot + num_slots_ * sizeof(DispatchSlot);
  parameters_ = std::make_unique<Buffer>(device.gpu(), bytes, Memory::kHost);
  std::memset(parameters_->host(), 0, bytes);
  active_.reserve(num_slots_);
  shape_.resize(kNumCounts + launches_.size());
}

DispatchSlot* Program::slots() const {
  return reinterpret_cast<DispatchSlot*>(parameters_->host() + kFirstSlot);
}

void Program::make_records() {
  for (uint32_t op = 0; op < launches_.size(); ++op) {
    tsr_kernel_record record{};
    record.struct_size = sizeof(record);
    record.first_op = op;
    record.num_ops = 1;
    record.clock = TSR_CLOCK_WALL;
    record.program = desc_.id;
    std::snprintf(record.kernel, sizeof(record.kernel), "%s",
                  launches_[op]->kernel_name().c_str());
    records_.push_back(record);
  }
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

std::vector<sdk::Lifetime> Program::share_inputs(const sdk::ProgramView& view) {
  std::vector<sdk::Lifetime> scratch;
  std::map<std::vector<uint64_t>, uint32_t> makers;  // by key
  for (uint32_t op = 0; op < launches_.size(); ++op) {
    const std::vector<uint64_t> key = launches_[op]->input_key();
    const auto maker = makers.find(key);
    if (!key.empty() && maker != makers.end()) {
      launches_[op]->share_input(maker->second);
      scratch[maker->second].last = op;
    } else if (!key.empty() && is_own(view, static_cast<uint32_t>(key[0]))) {
      makers[key] = op;
    }
    scratch.push_back({op, op, launches_[op]->scratch_bytes()});
    // What is written is another input from here on.
    for (const uint32_t id : sdk::operands_of(view.ops()[op]).writes) {
      const uint32_t root = root_of(view, id);
      std::erase_if(makers, [&](const auto& made) {
        return root_of(view, static_cast<uint32_t>(made.first[0])) == root;
      });
    }
  }
  return scratch;
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

void Program::run(const sdk::SubmissionView& submission, uint32_t lane) {
  const std::lock_guard<std::mutex> lock(mutex_);
  device_.gpu().require_alive();
  sdk::check_step(desc_, submission.value());
  const bool is_profiled = (submission.value().flags & TSR_SUBMIT_PROFILE) != 0;
  if (is_profiled && device_.gpu().facts().timestamp_ns == 0.0) {
    throw sdk::Error(TSR_UNIMPLEMENTED, "the driver has no timestamps");
  }
  // A step that failed while it ran may have left one.
  std::memset(parameters_->host(), 0, sizeof(Fault));
  const Step step{submission.value(), *places_, parameters_->address()};
  const bool was_filled = std::exchange(is_filled_, false);
  const bool same_places = places_->bind(submission);
  const bool same_shape = set_shape(submission.value());
  if (!was_filled || !same_places || !same_shape) fill_slots(step);
  is_filled_ = true;
  const Recording& recording = find_recording(step, is_profiled);
  device_.ring().upload(places_->staged_before());
  device_.gpu().run(lane, recording.commands());
  if (is_profiled) add_records(recording);
  check_fault();
  device_.ring().download(places_->staged_after());
}

void Program::require_groups(uint32_t op, const DispatchSlot& slot) const {
  const auto& most = device_.gpu().facts().max_groups;
  if (slot.groups[0] <= most[0] && slot.groups[1] <= most[1]) return;
  throw sdk::Error(
      TSR_RESOURCE_EXHAUSTED,
      "op " + std::to_string(op) + ": " + std::to_string(slot.groups[0]) +
          " x " + std::to_string(slot.groups[1]) +
          " work-groups, of which the device starts " +
          std::to_string(most[0]) + " x " + std::to_string(most[1]))
      .retry(TSR_RETRY_SMALLER);
}

bool Program::set_shape(const tsr_submission& submission) {
  bool is_same = true;
  auto place = shape_.begin();
  const auto set = [&](uint32_t value) {
    is_same = is_same && *place == value;
    *place++ = value;
  };
  set(submission.num_tokens);
  set(submission.num_seqs);
  set(submission.num_outputs);
  set(submission.max_q_len);
  set(submission.num_decode_tokens);
  for (const auto& launch : launches_) {
    set(launch->length_class(submission.max_seq_len));
  }
  return is_same;
}

void Program::fill_slots(const Step& step) {
  active_.clear();
  for (uint32_t op = 0; op < launches_.size(); ++op) {
    const uint32_t first = first_slots_[op];
    launches_[op]->fill(step, slots() + first);
    for (uint32_t i = 0; i < launches_[op]->num_slots(); ++i) {
      const DispatchSlot& slot = slots()[first + i];
      require_groups(op, slot);
      if (slot.groups[0] != 0 && slot.groups[1] != 0) {
        active_.push_back({op, first + i, i});
      }
    }
  }
}

const Recording& Program::find_recording(const Step& step,
                                         bool has_timestamps) {
  const auto found = std::find_if(
      recordings_.begin(), recordings_.end(), [&](const auto& recording) {
        return recording->fits(step, active_, has_timestamps);
      });
  if (found != recordings_.end()) {
    std::rotate(recordings_.begin(), found, found + 1);
    return *recordings_.front();
  }
  // One of each: decode, prefill, profiled or not, over two sets of buffers.
  constexpr size_t kMost = 8;
  if (recordings_.size() == kMost) recordings_.pop_back();
  recordings_.insert(
      recordings_.begin(),
      std::make_unique<Recording>(
          Recording::Input{device_, launches_, step, *parameters_, kFirstSlot,
                           has_timestamps},
          active_));
  return *recordings_.front();
}

void Program::add_records(const Recording& recording) {
  const double tick_ns = device_.gpu().facts().timestamp_ns;
  const std::vector<uint64_t> ticks = recording.read_ticks();
  for (uint32_t op = 0; op < launches_.size(); ++op) {
    tsr_kernel_record& record = records_[op];
    record.begin_ns =
        static_cast<uint64_t>(static_cast<double>(ticks[op]) * tick_ns);
    record.end_ns =
        static_cast<uint64_t>(static_cast<double>(ticks[op + 1]) * tick_ns);
  }
  device_.add_records(records_);
}

void Program::check_fault() {
  Fault fault{};
  std::memcpy(&fault, parameters_->host(), sizeof(fault));
  if (fault.kind == 0) return;
  throw sdk::Error(TSR_INVALID_ARGUMENT, explain(fault));
}

}  // namespace tessera::vulkan
