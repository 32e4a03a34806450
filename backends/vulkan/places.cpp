// SPDX-License-Identifier: Apache-2.0

#include "backends/vulkan/places.hpp"

#include <algorithm>
#include <string>

#include "backends/vulkan/device.hpp"
#include "tessera/operands.hpp"
#include "tessera/places.hpp"

namespace tessera::vulkan {
namespace {

constexpr uint64_t kAlignment = 128;  // more than any shader asks for

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

TensorPlaces::TensorPlaces(VulkanDevice& device,
                           const sdk::ProgramView& program,
                           const std::vector<sdk::Lifetime>& scratch)
    : device_(device),
      tensors_(program.tensors()),
      is_written_(tensors_.size()),
      created_(tensors_.size()),
      current_(tensors_.size()) {
  plan_workspace(program, scratch);
  bind_created(program);
}

uint64_t TensorPlaces::tensor_bytes(uint32_t id) const {
  const uint32_t bits = sdk::element_bits(tensors_[id].dtype);
  if (bits == 0) fail(id, "has an unknown dtype");
  return (sdk::tensor_span(tensors_[id]) * bits + 7) / 8;
}

void TensorPlaces::plan_workspace(const sdk::ProgramView& program,
                                  const std::vector<sdk::Lifetime>& scratch) {
  std::vector<sdk::Lifetime> lifetimes(tensors_.size(), {UINT32_MAX, 0, 0});
  for (uint32_t op = 0; op < program.ops().size(); ++op) {
    const sdk::Operands operands = sdk::operands_of(program.ops()[op]);
    for (const auto* ids : {&operands.reads, &operands.writes}) {
      for (const uint32_t id : *ids) {
        if (id >= tensors_.size()) fail(id, "does not exist");
        const uint32_t view_of = tensors_[id].view_of;
        const uint32_t root = view_of == TSR_NONE ? id : view_of;
        if (ids == &operands.writes) is_written_[root] = true;
        sdk::Lifetime& life = lifetimes[root];
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
  placed.insert(placed.end(), scratch.begin(), scratch.end());
  const sdk::WorkspacePlan plan = sdk::plan_workspace(placed, kAlignment);
  workspace_ =
      std::make_shared<Buffer>(device_.gpu(), plan.bytes, Memory::kDevice);
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

HostCopy TensorPlaces::staged_copy(uint32_t id, const Bound& bound) const {
  return {bound.buffer->host() + bound.offset,
          {bound.buffer.get(), bound.offset},
          tensor_bytes(id)};
}

std::vector<HostCopy> TensorPlaces::staged(bool written_only) const {
  std::vector<HostCopy> copies;
  for (uint32_t id = 0; id < tensors_.size(); ++id) {
    const Bound& bound = current_[id];
    const bool counts =
        written_only ? is_written_[id] : !is_constant(tensors_[id]);
    if (!counts || bound.buffer == nullptr || !bound.buffer->is_staged()) {
      continue;
    }
    copies.push_back(staged_copy(id, bound));
  }
  return copies;
}

void TensorPlaces::bind_created(const sdk::ProgramView& program) {
  for (const tsr_binding& binding : program.bindings()) {
    created_[binding.tensor] = resolve(binding);
  }
  std::vector<HostCopy> constants;
  for (uint32_t id = 0; id < tensors_.size(); ++id) {
    if (!is_constant(tensors_[id])) continue;
    if (created_[id].buffer == nullptr) fail(id, "is constant and not bound");
    if (!created_[id].buffer->is_staged()) continue;
    constants.push_back(staged_copy(id, created_[id]));
  }
  device_.ring().upload(constants);
}

bool TensorPlaces::bind(const sdk::SubmissionView& step) {
  std::swap(previous_, current_);
  current_ = created_;
  const auto bindings = step.bindings();
  for (uint32_t i = 0; i < bindings.size(); ++i) {
    const tsr_binding binding = bindings[i];
    if (binding.tensor < tensors_.size() &&
        is_constant(tensors_[binding.tensor])) {
      fail(binding.tensor, "is constant and bound by a step");
    }
    Bound bound = resolve(binding);
    current_[binding.tensor] = std::move(bound);
  }
  const bool is_same = current_ == previous_;
  previous_.clear();
  return is_same;
}

uint64_t TensorPlaces::at(uint32_t id) const {
  const tsr_tensor& tensor = tensors_.at(id);
  const bool is_view = tensor.view_of != TSR_NONE;
  const Bound& bound = current_[is_view ? tensor.view_of : id];
  if (bound.buffer == nullptr) fail(id, "is not bound");
  const uint64_t elements = is_view ? tensor.view_offset : 0;
  return bound.buffer->address() + bound.offset +
         elements * sdk::element_bits(tensor.dtype) / 8;
}

TexelRange TensorPlaces::tensor_texels(uint32_t id) const {
  const tsr_tensor& tensor = tensors_.at(id);
  const bool is_view = tensor.view_of != TSR_NONE;
  const Bound& bound = current_[is_view ? tensor.view_of : id];
  if (bound.buffer == nullptr) fail(id, "is not bound");
  TexelRange range{bound.buffer.get(), at(id) - bound.buffer->address(),
                   tensor_bytes(id)};
  range.tensor = id;
  range.serial = bound.buffer->serial();
  return range;
}

bool TensorPlaces::is_at(const TexelRange& range) const {
  const TexelRange now = tensor_texels(range.tensor);
  return now.buffer->serial() == range.serial && now.offset == range.offset;
}

}  // namespace tessera::vulkan
