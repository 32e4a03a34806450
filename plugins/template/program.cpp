// SPDX-License-Identifier: Apache-2.0

#include "program.hpp"

#include "kernels/add.hpp"

namespace my {

Program::Program(const tessera::sdk::ProgramView& program,
                 const tessera::sdk::HostMemoryDevice& device)
    : desc_(program.desc()),
      tensors_(program.tensors()),
      places_(program, device) {
  for (const tessera::sdk::OpRecord& op : program.ops()) {
    adds_.push_back(op.as<tsr_op_elementwise>());
  }
}

void Program::run(const tessera::sdk::SubmissionView& step) {
  tessera::sdk::check_step(desc_, step.value());
  places_.bind(step);
  for (const tsr_op_elementwise& op : adds_) run_add(op, step.value());
}

void Program::run_add(const tsr_op_elementwise& op,
                      const tsr_submission& step) const {
  const tsr_tensor& y = tensors_[op.y];
  Add add{};
  add.rows = tessera::sdk::num_rows(y, step);
  add.cols = y.dims[y.rank - 1].max;
  add.a = places_.at<float>(op.a);
  add.a_stride = row_stride(op.a);
  add.b = places_.at<float>(op.b);
  add.b_stride = row_stride(op.b);
  add.y = places_.at<float>(op.y);
  add.y_stride = row_stride(op.y);
  add_f32(add);
}

uint64_t Program::row_stride(uint32_t tensor) const {
  const tsr_tensor& t = tensors_[tensor];
  return t.row_stride == 0 ? t.dims[t.rank - 1].max : t.row_stride;
}

}  // namespace my
