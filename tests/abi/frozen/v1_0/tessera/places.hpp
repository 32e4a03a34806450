// SPDX-License-Identifier: Apache-2.0
//
// tessera/places.hpp - where the tensors of a program lie in host memory:
// transients in a workspace, views in their owners, the rest where the host
// bound them.

#pragma once

#include <memory>
#include <string>
#include <vector>

#include "tessera/host_memory.hpp"
#include "tessera/operands.hpp"
#include "tessera/workspace.hpp"

namespace tessera::sdk {

// Bits of one element; 0 for an unknown dtype.
inline uint32_t element_bits(uint32_t dtype) {
  switch (dtype) {
    case TSR_I64:
      return 64;
    case TSR_F32:
    case TSR_I32:
      return 32;
    case TSR_F16:
    case TSR_BF16:
      return 16;
    case TSR_I8:
    case TSR_U8:
    case TSR_F8E4M3:
    case TSR_F8E5M2:
    case TSR_E8M0:
      return 8;
    case TSR_I4:
    case TSR_U4:
    case TSR_F4E2M1:
      return 4;
    default:
      return 0;
  }
}

// The size of a dimension in a step.
inline uint32_t dim_size(const tsr_dim& dim, const tsr_submission& step) {
  switch (dim.symbol) {
    case TSR_DIM_TOKENS:
      return step.num_tokens;
    case TSR_DIM_SEQS:
      return step.num_seqs;
    case TSR_DIM_SEQS_PLUS_ONE:
      return step.num_seqs + 1;
    case TSR_DIM_OUTPUTS:
      return step.num_outputs;
    default:
      return dim.max;
  }
}

// Rows of a tensor in a step: all but its last dimension together.
inline uint64_t num_rows(const tsr_tensor& tensor, const tsr_submission& step) {
  uint64_t rows = 1;
  for (uint32_t d = 0; d + 1 < tensor.rank; ++d) {
    rows *= dim_size(tensor.dims[d], step);
  }
  return rows;
}

// Where the tensors of one program lie.  Created with the program; bind() and
// at() allocate nothing.  One thread at a time.
class TensorPlaces {
 public:
  // Plans the transients and takes their memory from the host.
  //
  // Errors   throws INVALID_ARGUMENT for a transient that is bound, a constant
  //          that is not, or a binding outside its buffer;
  //          NOT_FOUND for an unknown buffer; RESOURCE_EXHAUSTED
  TensorPlaces(const ProgramView& program, const HostMemoryDevice& device)
      : device_(device), tensors_(program.tensors()) {
    created_.resize(tensors_.size());
    current_.resize(tensors_.size());
    place_transients(program);
    for (const tsr_binding& binding : program.bindings()) {
      created_[binding.tensor] = resolve(binding);
      held_.push_back(device_.buffer(binding.buffer));
    }
    for (uint32_t id = 0; id < tensors_.size(); ++id) {
      const bool constant = (tensors_[id].flags & TSR_TENSOR_CONSTANT) != 0;
      if (!constant || tensors_[id].view_of != TSR_NONE) continue;
      if (created_[id] == nullptr) fail(id, "is constant and not bound");
    }
  }

  // Points the tensors at the memory of this step.
  //
  // Errors   throws INVALID_ARGUMENT or NOT_FOUND for a bad binding
  void bind(const SubmissionView& step) {
    current_ = created_;
    const auto bindings = step.bindings();
    for (uint32_t i = 0; i < bindings.size(); ++i) {
      const tsr_binding binding = bindings[i];
      if (binding.tensor >= tensors_.size()) {
        detail::malformed("binding of tensor " +
                          std::to_string(binding.tensor) + " of " +
                          std::to_string(tensors_.size()));
      }
      if ((tensors_[binding.tensor].flags & TSR_TENSOR_CONSTANT) != 0) {
        fail(binding.tensor, "is constant and bound by a step");
      }
      current_[binding.tensor] = resolve(binding);
    }
  }

  // The first element of a tensor in the step last bound.
  //
  // Errors   throws INVALID_ARGUMENT if nothing is bound to it
  template <typename Element>
  Element* at(uint32_t id) const {
    const tsr_tensor& tensor = tensors_.at(id);
    const bool view = tensor.view_of != TSR_NONE;
    char* base = current_[view ? tensor.view_of : id];
    if (base == nullptr) fail(id, "is not bound");
    const uint64_t offset = view ? tensor.view_offset : 0;
    return reinterpret_cast<Element*>(base +
                                      offset * element_bits(tensor.dtype) / 8);
  }

  uint64_t workspace_bytes() const {
    return workspace_ == nullptr ? 0 : workspace_->bytes();
  }

 private:
  [[noreturn]] static void fail(uint32_t id, const char* what) {
    detail::malformed("tensor " + std::to_string(id) + " " + what);
  }

  uint64_t tensor_bytes(uint32_t id) const {
    const uint32_t bits = element_bits(tensors_[id].dtype);
    if (bits == 0) fail(id, "has an unknown dtype");
    return (tensor_span(tensors_[id]) * bits + 7) / 8;
  }

  char* resolve(const tsr_binding& binding) const {
    const uint32_t id = binding.tensor;
    const tsr_tensor& tensor = tensors_[id];
    if (tensor.view_of != TSR_NONE) fail(id, "is a view and bound");
    if ((tensor.flags & TSR_TENSOR_TRANSIENT) != 0) {
      fail(id, "is transient and bound");
    }
    char* place =
        device_.buffer(binding.buffer)->at(binding.offset, tensor_bytes(id));
    const uint32_t element_bytes = (element_bits(tensor.dtype) + 7) / 8;
    if (reinterpret_cast<uintptr_t>(place) % element_bytes != 0) {
      fail(id, "is bound at an unaligned address");
    }
    return place;
  }

  bool is_transient(uint32_t id) const {
    return tensors_[id].view_of == TSR_NONE &&
           (tensors_[id].flags & TSR_TENSOR_TRANSIENT) != 0;
  }

  // Ops during which each tensor's memory is in use, its views' included.
  std::vector<Lifetime> find_lifetimes(const ProgramView& program) const {
    std::vector<Lifetime> lifetimes(tensors_.size(), {UINT32_MAX, 0, 0});
    const auto use = [&](uint32_t id, uint32_t op) {
      if (id >= tensors_.size()) fail(id, "does not exist");
      const uint32_t owner =
          tensors_[id].view_of == TSR_NONE ? id : tensors_[id].view_of;
      lifetimes[owner].first = std::min(lifetimes[owner].first, op);
      lifetimes[owner].last = std::max(lifetimes[owner].last, op);
    };
    for (uint32_t op = 0; op < program.ops().size(); ++op) {
      const Operands operands = operands_of(program.ops()[op]);
      for (const uint32_t id : operands.reads) use(id, op);
      for (const uint32_t id : operands.writes) use(id, op);
      for (uint32_t id = 0; !operands.known && id < tensors_.size(); ++id) {
        use(id, op);
      }
    }
    return lifetimes;
  }

  void place_transients(const ProgramView& program) {
    const std::vector<Lifetime> lifetimes = find_lifetimes(program);
    std::vector<uint32_t> ids;
    std::vector<Lifetime> transients;
    for (uint32_t id = 0; id < tensors_.size(); ++id) {
      if (!is_transient(id) || lifetimes[id].first == UINT32_MAX) continue;
      ids.push_back(id);
      transients.push_back(
          {lifetimes[id].first, lifetimes[id].last, tensor_bytes(id)});
    }
    if (ids.empty()) return;
    const WorkspacePlan plan =
        plan_workspace(transients, HostMemoryDevice::kAlignment);
    workspace_ = std::make_unique<HostBuffer>(device_.host(), plan.bytes,
                                              HostMemoryDevice::kAlignment);
    for (size_t i = 0; i < ids.size(); ++i) {
      created_[ids[i]] = workspace_->at(plan.offsets[i], transients[i].bytes);
    }
  }

  const HostMemoryDevice& device_;
  std::vector<tsr_tensor> tensors_;
  std::vector<char*> created_;  // by tensor; null: views, and bound by steps
  std::vector<char*> current_;
  std::vector<std::shared_ptr<HostBuffer>> held_;
  std::unique_ptr<HostBuffer> workspace_;
};

}  // namespace tessera::sdk
