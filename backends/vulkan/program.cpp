// SPDX-License-Identifier: Apache-2.0

#include "backends/vulkan/program.hpp"

#include <cstddef>
#include <cstdio>
#include <cstring>
#include <string>

#include "backends/vulkan/device.hpp"
#include "backends/vulkan/weights.hpp"

namespace tessera::vulkan {
namespace {

// The first fault of a step: what, and the value that was wrong.
struct Fault {
  int32_t kind;
  int32_t value;
};

constexpr uint64_t kFirstSlot = 64;  // the fault is before it

// The weights and pools that the program names, as `check` takes them.
sdk::ProgramQuestion question_of(const VulkanDevice& device,
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
    default:
      return "sequence " + value +
             ": q_starts, seq_lens and block_table do not fit together";
  }
}

QueryPoolHandle make_timestamps(VkDevice device, uint32_t count) {
  VkQueryPoolCreateInfo info{};
  info.sType = VK_STRUCTURE_TYPE_QUERY_POOL_CREATE_INFO;
  info.queryType = VK_QUERY_TYPE_TIMESTAMP;
  info.queryCount = count;
  VkQueryPool pool = VK_NULL_HANDLE;
  check_vk(vkCreateQueryPool(device, &info, nullptr, &pool),
           "vkCreateQueryPool");
  return {device, pool};
}

}  // namespace

Program::Program(VulkanDevice& device, const sdk::ProgramView& view)
    : device_(device), desc_(view.desc()), pool_(device.gpu().make_pool()) {
  make_launches(view);
  std::vector<uint64_t> scratch_bytes;
  for (const auto& launch : launches_) {
    scratch_bytes.push_back(launch->scratch_bytes());
    first_slots_.push_back(static_cast<uint32_t>(pipelines_.size()));
    const std::vector<VkPipeline> needed = launch->pipelines();
    pipelines_.insert(pipelines_.end(), needed.begin(), needed.end());
  }
  places_ = std::make_unique<TensorPlaces>(device, view, scratch_bytes);
  const uint64_t bytes = kFirstSlot + pipelines_.size() * sizeof(DispatchSlot);
  parameters_ = std::make_unique<Buffer>(device.gpu(), bytes, Memory::kHost);
  std::memset(parameters_->host(), 0, bytes);
  commands_ = record(false);
}

DispatchSlot* Program::slots() const {
  return reinterpret_cast<DispatchSlot*>(parameters_->host() + kFirstSlot);
}

VkCommandBuffer Program::record(bool with_timestamps) {
  VkDevice device = device_.gpu().device();
  VkCommandBuffer commands = begin_commands(device, pool_.get(), 0);
  VkQueryPool queries = timestamps_.get();
  const auto stamp = [&](uint32_t index) {
    if (!with_timestamps) return;
    vkCmdWriteTimestamp(commands, VK_PIPELINE_STAGE_BOTTOM_OF_PIPE_BIT, queries,
                        index);
  };
  const auto num_ops = static_cast<uint32_t>(launches_.size());
  if (with_timestamps) {
    vkCmdResetQueryPool(commands, queries, 0, num_ops + 1);
  }
  stamp(0);
  for (uint32_t op = 0; op < num_ops; ++op) {
    const auto end = op + 1 < num_ops
                         ? first_slots_[op + 1]
                         : static_cast<uint32_t>(pipelines_.size());
    for (uint32_t slot = first_slots_[op]; slot < end; ++slot) {
      const uint64_t offset = kFirstSlot + slot * sizeof(DispatchSlot);
      const uint64_t args =
          parameters_->address() + offset + offsetof(DispatchSlot, args);
      vkCmdBindPipeline(commands, VK_PIPELINE_BIND_POINT_COMPUTE,
                        pipelines_[slot]);
      vkCmdPushConstants(commands, device_.pipelines().layout(),
                         VK_SHADER_STAGE_COMPUTE_BIT, 0, sizeof(args), &args);
      vkCmdDispatchIndirect(commands, parameters_->buffer(), offset);
      add_barrier(commands);
    }
    stamp(op + 1);
  }
  check_vk(vkEndCommandBuffer(commands), "vkEndCommandBuffer");
  return commands;
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

void Program::run(const sdk::SubmissionView& submission) {
  const std::lock_guard<std::mutex> lock(mutex_);
  sdk::check_step(desc_, submission.value());
  places_->bind(submission);
  fill_slots(submission);
  if ((submission.value().flags & TSR_SUBMIT_PROFILE) != 0) {
    run_profiled();
  } else {
    device_.gpu().run(commands_);
  }
  check_fault();
}

void Program::fill_slots(const sdk::SubmissionView& submission) {
  const Step step{submission.value(), *places_, parameters_->address()};
  for (uint32_t op = 0; op < launches_.size(); ++op) {
    launches_[op]->fill(step, slots() + first_slots_[op]);
  }
}

void Program::run_profiled() {
  const double tick_ns = device_.gpu().facts().timestamp_ns;
  if (tick_ns == 0.0) {
    throw sdk::Error(TSR_UNIMPLEMENTED, "the driver has no timestamps");
  }
  VkDevice device = device_.gpu().device();
  const auto num_ops = static_cast<uint32_t>(launches_.size());
  if (profiled_ == VK_NULL_HANDLE) {
    timestamps_ = make_timestamps(device, num_ops + 1);
    profiled_ = record(true);
  }
  device_.gpu().run(profiled_);
  std::vector<uint64_t> ticks(num_ops + 1);
  check_vk(vkGetQueryPoolResults(
               device, timestamps_.get(), 0, num_ops + 1,
               ticks.size() * sizeof(uint64_t), ticks.data(), sizeof(uint64_t),
               VK_QUERY_RESULT_64_BIT | VK_QUERY_RESULT_WAIT_BIT),
           "vkGetQueryPoolResults");
  std::vector<tsr_kernel_record> records;
  for (uint32_t op = 0; op < num_ops; ++op) {
    tsr_kernel_record record{};
    record.struct_size = sizeof(record);
    record.first_op = op;
    record.num_ops = 1;
    record.clock = TSR_CLOCK_WALL;
    record.program = desc_.id;
    record.begin_ns =
        static_cast<uint64_t>(static_cast<double>(ticks[op]) * tick_ns);
    record.end_ns =
        static_cast<uint64_t>(static_cast<double>(ticks[op + 1]) * tick_ns);
    std::snprintf(record.kernel, sizeof(record.kernel), "%s",
                  launches_[op]->kernel_name().c_str());
    records.push_back(record);
  }
  device_.add_records(records);
}

void Program::check_fault() {
  Fault fault{};
  std::memcpy(&fault, parameters_->host(), sizeof(fault));
  if (fault.kind == 0) return;
  std::memset(parameters_->host(), 0, sizeof(fault));
  throw sdk::Error(TSR_INVALID_ARGUMENT, explain(fault));
}

}  // namespace tessera::vulkan
