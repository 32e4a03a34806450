// SPDX-License-Identifier: Apache-2.0

#include "backends/cpu/program.hpp"

#include <algorithm>
#include <chrono>
#include <cstdio>

#include "backends/cpu/compile_op.hpp"
#include "backends/cpu/device.hpp"
#include "tessera/op_facts.hpp"
#include "tessera/workspace.hpp"

namespace tessera::cpu {
namespace {

uint64_t now_ns() {
  return static_cast<uint64_t>(
      std::chrono::duration_cast<std::chrono::nanoseconds>(
          std::chrono::steady_clock::now().time_since_epoch())
          .count());
}

uint64_t dtype_bytes(uint32_t dtype) {
  switch (dtype) {
    case TSR_F32:
    case TSR_I32:
      return 4;
    case TSR_F16:
    case TSR_BF16:
      return 2;
    case TSR_I8:
    case TSR_U8:
      return 1;
    default:
      throw sdk::Error(
          TSR_UNIMPLEMENTED,
          "tensors of dtype " + std::to_string(dtype) + " are not supported");
  }
}

// Bytes from a tensor's first element to its last at its maxima.
uint64_t extent_bytes(const tsr_tensor& tensor) {
  uint64_t rows = 1;
  for (uint32_t d = 0; d + 1 < tensor.rank; ++d) rows *= tensor.dims[d].max;
  const uint64_t width = tensor.dims[tensor.rank - 1].max;
  const uint64_t stride = tensor.row_stride == 0 ? width : tensor.row_stride;
  return ((rows - 1) * stride + width) * dtype_bytes(tensor.dtype);
}

// The ops that use each tensor that owns memory, from first to last.
std::vector<sdk::Lifetime> transient_lifetimes(
    const std::vector<std::vector<uint32_t>>& op_tensors,
    const std::vector<uint64_t>& bytes) {
  std::vector<sdk::Lifetime> lifetimes(bytes.size(), {UINT32_MAX, 0, 0});
  for (uint32_t op = 0; op < op_tensors.size(); ++op) {
    for (const uint32_t tensor : op_tensors[op]) {
      lifetimes[tensor].first = std::min(lifetimes[tensor].first, op);
      lifetimes[tensor].last = op;
      lifetimes[tensor].bytes = bytes[tensor];
    }
  }
  return lifetimes;
}

}  // namespace

TensorRows::TensorRows(const tsr_tensor& tensor, char* const* base)
    : dtype_(tensor.dtype), leading_(tensor.dims[0]), base_(base) {
  width_ = tensor.dims[tensor.rank - 1].max;
  for (uint32_t d = 1; d + 1 < tensor.rank; ++d) {
    rows_per_entry_ *= tensor.dims[d].max;
  }
  stride_ = tensor.row_stride == 0 ? width_ : tensor.row_stride;
  offset_bytes_ = tensor.view_offset * dtype_bytes(tensor.dtype);
}

int64_t TensorRows::entries(const Step& step) const {
  switch (leading_.symbol) {
    case TSR_DIM_TOKENS:
      return step.num_tokens;
    case TSR_DIM_SEQS:
      return step.num_seqs;
    case TSR_DIM_SEQS_PLUS_ONE:
      return step.num_seqs + 1;
    case TSR_DIM_OUTPUTS:
      return step.num_outputs;
    default:
      return leading_.max;
  }
}

void* TensorRows::data() const { return *base_ + offset_bytes_; }

Program::Program(CpuDevice& device, const sdk::ProgramView& view)
    : device_(device),
      id_(view.desc().id),
      desc_(view.desc()),
      tensors_(view.tensors()) {
  for (const tsr_tensor& tensor : tensors_) {
    bytes_.push_back(tensor.view_of == TSR_NONE ? extent_bytes(tensor) : 0);
  }
  bases_.assign(tensors_.size(), nullptr);
  bind(device, view);
  compile(device, view);
  plan_memory(device, view);
}

void Program::bind(CpuDevice& device, const sdk::ProgramView& view) {
  for (const tsr_binding& binding : view.bindings()) {
    require(binding.tensor < tensors_.size() &&
                tensors_[binding.tensor].view_of == TSR_NONE,
            "binding of tensor " + std::to_string(binding.tensor));
    auto buffer = device.buffer(binding.buffer);
    bases_[binding.tensor] = buffer->at(binding.offset, bytes_[binding.tensor]);
    buffers_.push_back(std::move(buffer));
  }
  for (uint32_t id = 0; id < tensors_.size(); ++id) {
    const bool constant = (tensors_[id].flags & TSR_TENSOR_CONSTANT) != 0;
    require(
        !constant || bases_[id] != nullptr || tensors_[id].view_of != TSR_NONE,
        "constant tensor " + std::to_string(id) + " is not bound");
  }
}

void Program::compile(CpuDevice& device, const sdk::ProgramView& view) {
  const auto base_of = [this](uint32_t id) {
    const uint32_t owner = tensors_[id].view_of;
    return &bases_[owner == TSR_NONE ? id : owner];
  };
  for (uint32_t i = 0; i < view.ops().size(); ++i) {
    try {
      ops_.push_back(compile_op({device, view, view.ops()[i], base_of}));
    } catch (const sdk::Error& error) {
      throw sdk::Error(error.code(),
                       "op " + std::to_string(i) + ": " + error.what());
    }
  }
}

void Program::plan_memory(CpuDevice& device, const sdk::ProgramView& view) {
  std::vector<std::vector<uint32_t>> op_tensors;
  for (const sdk::OpRecord& op : view.ops()) {
    op_tensors.push_back(tensors_of(op));
    for (uint32_t& id : op_tensors.back()) {
      require(id < tensors_.size(),
              "tensor " + std::to_string(id) + " does not exist");
      if (tensors_[id].view_of != TSR_NONE) id = tensors_[id].view_of;
    }
  }
  const std::vector<sdk::Lifetime> lifetimes =
      transient_lifetimes(op_tensors, bytes_);
  std::vector<sdk::Lifetime> placed;
  std::vector<uint32_t> placed_tensors;
  for (uint32_t id = 0; id < tensors_.size(); ++id) {
    const bool transient = (tensors_[id].flags & TSR_TENSOR_TRANSIENT) != 0;
    if (!transient || lifetimes[id].bytes == 0) continue;
    placed.push_back(lifetimes[id]);
    placed_tensors.push_back(id);
  }
  for (uint32_t i = 0; i < ops_.size(); ++i) {
    placed.push_back({i, i, ops_[i]->scratch_bytes()});
  }
  const sdk::WorkspacePlan plan =
      sdk::plan_workspace(placed, sdk::HostMemoryDevice::kAlignment);
  workspace_ = std::make_unique<sdk::HostBuffer>(
      device.host(), plan.bytes, sdk::HostMemoryDevice::kAlignment);
  for (size_t i = 0; i < placed_tensors.size(); ++i) {
    bases_[placed_tensors[i]] = workspace_->at(plan.offsets[i], 0);
  }
  scratch_offsets_.assign(
      plan.offsets.begin() + static_cast<ptrdiff_t>(placed_tensors.size()),
      plan.offsets.end());
  default_bases_ = bases_;
  for (const std::vector<uint32_t>& tensors : op_tensors) {
    for (const uint32_t id : tensors) {
      if (bases_[id] == nullptr) bound_by_steps_.push_back(id);
    }
  }
}

tsr_program_info Program::info() const {
  tsr_program_info info{};
  info.struct_size = sizeof(info);
  info.num_segments = static_cast<uint32_t>(ops_.size());
  info.workspace_bytes = workspace_->bytes();
  return info;
}

tsr_segment Program::segment(uint32_t index) const {
  if (index >= ops_.size()) {
    throw sdk::Error(TSR_INVALID_ARGUMENT, "segment " + std::to_string(index) +
                                               " of " +
                                               std::to_string(ops_.size()));
  }
  tsr_segment segment{};
  segment.struct_size = sizeof(segment);
  segment.first_op = index;
  segment.num_ops = 1;
  std::snprintf(segment.kernel, sizeof(segment.kernel), "%s",
                ops_[index]->kernel_name().c_str());
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

void Program::apply_overrides(CpuDevice& device,
                              const sdk::SubmissionView& submission) {
  const sdk::Elements<tsr_binding> bindings = submission.bindings();
  bases_ = default_bases_;
  for (uint32_t i = 0; i < bindings.size(); ++i) {
    const tsr_binding binding = bindings[i];
    require(binding.tensor < tensors_.size() &&
                tensors_[binding.tensor].view_of == TSR_NONE &&
                (tensors_[binding.tensor].flags &
                 (TSR_TENSOR_TRANSIENT | TSR_TENSOR_CONSTANT)) == 0,
            "binding of tensor " + std::to_string(binding.tensor));
    bases_[binding.tensor] = device.buffer(binding.buffer)
                                 ->at(binding.offset, bytes_[binding.tensor]);
  }
  for (const uint32_t id : bound_by_steps_) {
    require(bases_[id] != nullptr,
            "tensor " + std::to_string(id) + " is not bound");
  }
}

void Program::run(const sdk::SubmissionView& submission, const Exec& exec,
                  std::vector<tsr_kernel_record>* records) {
  const tsr_submission& value = submission.value();
  check_step(value);
  apply_overrides(device_, submission);
  const Step step{value.num_tokens, value.num_seqs, value.num_outputs,
                  value.num_decode_tokens};
  for (uint32_t i = 0; i < ops_.size(); ++i) {
    char* scratch = workspace_->at(scratch_offsets_[i], 0);
    const uint64_t begin = records == nullptr ? 0 : now_ns();
    ops_[i]->run({step, exec, scratch});
    if (records == nullptr) continue;
    tsr_kernel_record record{};
    record.struct_size = sizeof(record);
    record.first_op = i;
    record.num_ops = 1;
    record.clock = TSR_CLOCK_WALL;
    record.program = id_;
    record.begin_ns = begin;
    record.end_ns = now_ns();
    std::snprintf(record.kernel, sizeof(record.kernel), "%s",
                  ops_[i]->kernel_name().c_str());
    records->push_back(record);
  }
}

}  // namespace tessera::cpu
