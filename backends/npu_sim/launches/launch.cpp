// SPDX-License-Identifier: Apache-2.0

#include "backends/npu_sim/launches/launch.hpp"

#include <string>

namespace tessera::npu {

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

int64_t TensorRows::entries(const Step& step) const {
  return sdk::dim_size(tensor_.dims[0], step.submission);
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

}  // namespace tessera::npu
