// SPDX-License-Identifier: Apache-2.0

#include "backends/opencl/places.hpp"

#include <algorithm>
#include <string>

#include "backends/opencl/device.hpp"
#include "tessera/operands.hpp"
#include "tessera/places.hpp"
#include "tessera/workspace.hpp"

namespace tessera::opencl {
namespace {

// What every OpenCL device can start a sub-buffer at.
constexpr uint64_t kAlignment = 128;

[[noreturn]] void fail(uint32_t id, const char* what) {
  throw sdk::Error(TSR_INVALID_ARGUMENT,
                   "tensor " + std::to_string(id) + " " + what);
}

bool is_transient(const tsr_tensor& tensor) {
  return tensor.view_of == TSR_NONE &&
         (tensor.flags & TSR_TENSOR_TRANSIENT) != 0;
}

bool is_constant(const tsr_tensor& tensor) {
  return tensor.view_of == TSR_NONE &&
         (tensor.flags & TSR_TENSOR_CONSTANT) != 0;
}

}  // namespace

TensorPlaces::TensorPlaces(OpenClDevice& device,
                           const sdk::ProgramView& program,
                           const std::vector<uint64_t>& scratch_bytes)
    : device_(device),
      tensors_(program.tensors()),
      is_read_(tensors_.size()),
      is_written_(tensors_.size()),
      created_(tensors_.size()),
      current_(tensors_.size()) {
  find_uses(program);
  plan_workspace(program, scratch_bytes);
  bind_created(program);
  hand_over_constants();
}

void TensorPlaces::find_uses(const sdk::ProgramView& program) {
  const auto owner = [&](uint32_t id) {
    if (id >= tensors_.size()) fail(id, "does not exist");
    return tensors_[id].view_of == TSR_NONE ? id : tensors_[id].view_of;
  };
  for (const sdk::OpRecord& op : program.ops()) {
    const sdk::Operands operands = sdk::operands_of(op);
    for (const uint32_t id : operands.reads) is_read_[owner(id)] = true;
    for (const uint32_t id : operands.writes) {
      // A view, or a short step, leaves bytes that the host must find again.
      is_read_[owner(id)] = true;
      is_written_[owner(id)] = true;
    }
  }
}

uint64_t TensorPlaces::tensor_bytes(uint32_t id) const {
  const uint32_t bits = sdk::element_bits(tensors_[id].dtype);
  if (bits == 0) fail(id, "has an unknown dtype");
  return (sdk::tensor_span(tensors_[id]) * bits + 7) / 8;
}

void TensorPlaces::plan_workspace(const sdk::ProgramView& program,
                                  const std::vector<uint64_t>& scratch_bytes) {
  std::vector<sdk::Lifetime> lifetimes(tensors_.size(), {UINT32_MAX, 0, 0});
  for (uint32_t op = 0; op < program.ops().size(); ++op) {
    const sdk::Operands operands = sdk::operands_of(program.ops()[op]);
    for (const auto* ids : {&operands.reads, &operands.writes}) {
      for (const uint32_t id : *ids) {
        const uint32_t view_of = tensors_[id].view_of;
        sdk::Lifetime& life = lifetimes[view_of == TSR_NONE ? id : view_of];
        life.first = std::min(life.first, op);
        life.last = std::max(life.last, op);
      }
    }
  }
  std::vector<uint32_t> ids;
  std::vector<sdk::Lifetime> placed;
  for (uint32_t id = 0; id < tensors_.size(); ++id) {
    if (!is_transient(tensors_[id]) || lifetimes[id].first == UINT32_MAX) {
      continue;
    }
    ids.push_back(id);
    placed.push_back(
        {lifetimes[id].first, lifetimes[id].last, tensor_bytes(id)});
  }
  for (uint32_t op = 0; op < scratch_bytes.size(); ++op) {
    placed.push_back({op, op, scratch_bytes[op]});
  }
  const sdk::WorkspacePlan plan = sdk::plan_workspace(placed, kAlignment);
  workspace_ = device_.create_private(plan.bytes);
  for (size_t i = 0; i < ids.size(); ++i) {
    created_[ids[i]] = {workspace_, plan.offsets[i]};
  }
  scratch_offsets_.assign(
      plan.offsets.begin() + static_cast<ptrdiff_t>(ids.size()),
      plan.offsets.end());
}

TensorPlaces::Bound TensorPlaces::resolve(const tsr_binding& binding) const {
  const uint32_t id = binding.tensor;
  if (id >= tensors_.size()) fail(id, "is bound and does not exist");
  if (tensors_[id].view_of != TSR_NONE) fail(id, "is a view and bound");
  if (is_transient(tensors_[id])) fail(id, "is transient and bound");
  auto buffer = device_.find_buffer(binding.buffer);
  buffer->require_range(binding.offset, tensor_bytes(id));
  const uint32_t element_bytes =
      (sdk::element_bits(tensors_[id].dtype) + 7) / 8;
  if (binding.offset % element_bytes != 0) {
    fail(id, "is bound at an unaligned offset");
  }
  return {std::move(buffer), binding.offset};
}

void TensorPlaces::bind_created(const sdk::ProgramView& program) {
  for (const tsr_binding& binding : program.bindings()) {
    created_[binding.tensor] = resolve(binding);
  }
  for (uint32_t id = 0; id < tensors_.size(); ++id) {
    if (is_constant(tensors_[id]) && created_[id].buffer == nullptr) {
      fail(id, "is constant and not bound");
    }
  }
}

void TensorPlaces::hand_over_constants() {
  const OpenClDevice::QueueLock queue = device_.lock_queue();
  for (uint32_t id = 0; id < tensors_.size(); ++id) {
    if (!is_constant(tensors_[id])) continue;
    const Bound& bound = created_[id];
    if (bound.buffer->sharing() != Sharing::kCopied) continue;
    bound.buffer->to_device(queue.get(), bound.offset, tensor_bytes(id));
  }
  check_cl(clFinish(queue.get()), "clFinish");
}

void TensorPlaces::begin_step(cl_command_queue queue,
                              const sdk::SubmissionView& step) {
  current_ = created_;
  const auto bindings = step.bindings();
  for (uint32_t i = 0; i < bindings.size(); ++i) {
    const tsr_binding binding = bindings[i];
    if (binding.tensor < tensors_.size() &&
        is_constant(tensors_[binding.tensor])) {
      fail(binding.tensor, "is constant and bound by a step");
    }
    current_[binding.tensor] = resolve(binding);
  }
  // Before any kernel has some of its arguments.
  for (uint32_t id = 0; id < tensors_.size(); ++id) {
    const bool used = is_read_[id] || is_written_[id];
    if (used && current_[id].buffer == nullptr) fail(id, "is not bound");
  }
  for (uint32_t id = 0; id < tensors_.size(); ++id) {
    const Bound& bound = current_[id];
    if (bound.buffer == nullptr || !bound.buffer->is_host_visible()) continue;
    const bool copied = bound.buffer->sharing() == Sharing::kCopied;
    if (copied && (is_constant(tensors_[id]) || !is_read_[id])) continue;
    bound.buffer->to_device(queue, bound.offset, tensor_bytes(id));
  }
}

void TensorPlaces::end_step(cl_command_queue queue) {
  for (uint32_t id = 0; id < tensors_.size(); ++id) {
    const Bound& bound = current_[id];
    if (bound.buffer == nullptr || !bound.buffer->is_host_visible()) continue;
    const bool copied = bound.buffer->sharing() == Sharing::kCopied;
    if (copied && !is_written_[id]) continue;
    bound.buffer->to_host(queue, bound.offset, tensor_bytes(id));
  }
}

std::vector<TensorPlaces::BoundPlace> TensorPlaces::bound() const {
  std::vector<BoundPlace> places;
  for (const Bound& bound : current_) {
    places.push_back({bound.buffer, bound.offset});
  }
  return places;
}

bool TensorPlaces::is_bound_to(const std::vector<BoundPlace>& places) const {
  for (size_t i = 0; i < current_.size(); ++i) {
    // Equal owners, so that a buffer that is gone equals none that is here.
    const bool same = !places[i].buffer.owner_before(current_[i].buffer) &&
                      !current_[i].buffer.owner_before(places[i].buffer);
    if (!same || places[i].offset != current_[i].offset) return false;
  }
  return true;
}

Place TensorPlaces::at(uint32_t id) const {
  const tsr_tensor& tensor = tensors_.at(id);
  const bool is_view = tensor.view_of != TSR_NONE;
  const Bound& bound = current_[is_view ? tensor.view_of : id];
  if (bound.buffer == nullptr) fail(id, "is not bound");
  const uint64_t elements = is_view ? tensor.view_offset : 0;
  return {bound.buffer->memory(),
          bound.offset + elements * sdk::element_bits(tensor.dtype) / 8};
}

}  // namespace tessera::opencl
