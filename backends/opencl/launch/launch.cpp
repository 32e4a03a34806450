// SPDX-License-Identifier: Apache-2.0

#include "backends/opencl/launch/launch.hpp"

#include <utility>

#include "backends/opencl/device.hpp"

namespace tessera::opencl {

TensorRows::TensorRows(const sdk::ProgramView& program, uint32_t id) {
  if (id == TSR_NONE) return;
  if (id >= program.tensors().size()) {
    throw sdk::Error(TSR_INVALID_ARGUMENT,
                     "tensor " + std::to_string(id) + " of " +
                         std::to_string(program.tensors().size()));
  }
  id_ = id;
  tensor_ = program.tensors()[id];
  width_ = tensor_.dims[tensor_.rank - 1].max;
  for (uint32_t d = 1; d + 1 < tensor_.rank; ++d) {
    rows_per_entry_ *= tensor_.dims[d].max;
  }
  stride_ = tensor_.row_stride == 0 ? width_ : tensor_.row_stride;
}

uint32_t TensorRows::entries(const Step& step) const {
  return sdk::dim_size(tensor_.dims[0], step.submission);
}

cl_mem TensorRows::memory(const Step& step, cl_mem nothing) const {
  return exists() ? place(step).memory : nothing;
}

uint64_t TensorRows::offset(const Step& step) const {
  return exists() ? place(step).offset : 0;
}

RowPlace TensorRows::row_place(const Step& step) const {
  if (!exists()) return {};
  return {place(step).offset, stride_, static_cast<cl_int>(dtype()), 0};
}

RowPlace TensorRows::entry_place(const Step& step) const {
  if (!exists()) return {};
  return {place(step).offset, entry_stride(), static_cast<cl_int>(dtype()), 0};
}

Kernel LaunchInput::kernel(const std::string& name,
                           std::vector<std::string> files,
                           const std::string& constants) const {
  return {name, device.kernels().create({name, std::move(files), constants})};
}

RowKernel LaunchInput::row_kernel(const std::string& name,
                                  const std::vector<std::string>& shared,
                                  const std::string& family,
                                  const std::string& constants) const {
  constexpr size_t kGroup = 64;  // as group.cl
  std::vector<std::string> files = shared;
  if (device.options().form == Form::kBlock) {
    files.push_back(family + "_block");
    return {kernel(name, std::move(files), constants), 1};
  }
  files.insert(files.begin(), "group");
  files.push_back(family + "_tile");
  return {kernel(name, std::move(files),
                 constants + group_constants(device.options().features)),
          kGroup};
}

std::unique_ptr<Launch> make_launch(const LaunchInput& input) {
  switch (input.op.kind()) {
    case TSR_OP_LINEAR:
      return make_linear(input);
    case TSR_OP_ATTENTION:
      return make_attention(input);
    case TSR_OP_KV_APPEND:
      return make_kv_append(input);
    default:
      return make_row_op(input);
  }
}

}  // namespace tessera::opencl
