// SPDX-License-Identifier: Apache-2.0

#include "tests/abi/probe/program.hpp"

namespace tessera::probe {

Program::Program(const sdk::ProgramView& program, const ProbeDevice& device)
    : desc_(program.desc()),
      tensors_(program.tensors()),
      places_(program, device) {
  for (const sdk::OpRecord& op : program.ops()) {
    kinds_.push_back(op.kind());
    if (op.kind() == TSR_OP_ADD) {
      adds_.push_back(op.as<tsr_op_elementwise>());
      continue;
    }
    const auto linear = op.as<tsr_op_linear>();
    linears_.push_back(
        {linear, device.weight(program.weights()[linear.weight])});
  }
}

void Program::run(const sdk::SubmissionView& step) {
  sdk::check_step(desc_, step.value());
  places_.bind(step);
  size_t next_add = 0;
  size_t next_linear = 0;
  for (const uint32_t kind : kinds_) {
    if (kind == TSR_OP_ADD) {
      add(adds_[next_add++], step.value());
    } else {
      linear(linears_[next_linear++], step.value());
    }
  }
}

void Program::add(const tsr_op_elementwise& op,
                  const tsr_submission& step) const {
  const tsr_tensor& tensor = tensors_[op.y];
  const uint64_t count =
      sdk::num_rows(tensor, step) * tensor.dims[tensor.rank - 1].max;
  const auto* a = places_.at<float>(op.a);
  const auto* b = places_.at<float>(op.b);
  auto* y = places_.at<float>(op.y);
  for (uint64_t i = 0; i < count; ++i) y[i] = a[i] + b[i];
}

// Accumulates in ascending k, so that a test can predict every bit.
void Program::linear(const Linear& linear, const tsr_submission& step) const {
  const Weight& w = *linear.weight;
  const auto* x = places_.at<float>(linear.op.x);
  auto* y = places_.at<float>(linear.op.y);
  const uint64_t M = sdk::num_rows(tensors_[linear.op.y], step);
  for (uint64_t m = 0; m < M; ++m) {
    for (uint64_t n = 0; n < w.N; ++n) {
      float sum = 0;
      for (uint64_t k = 0; k < w.K; ++k) {
        sum += x[m * w.K + k] * w.transposed[k * w.N + n];
      }
      y[m * w.N + n] = sum;
    }
  }
}

void ProbeQueue::run(const sdk::SubmissionView& submission) {
  const tsr_submission& value = submission.value();
  switch (value.kind) {
    case TSR_SUBMIT_PROGRAM: {
      const auto program = device_.program(value.program);
      program->run(submission);
      if ((value.flags & TSR_SUBMIT_PROFILE) != 0) {
        device_.record_profile(value.program,
                               static_cast<uint32_t>(program->kinds().size()));
      }
      return;
    }
    case TSR_SUBMIT_COPY:
      run_copy(value);
      return;
    case TSR_SUBMIT_KV_COPY:
      device_.copy_blocks(submission);
      return;
    default:
      throw sdk::Error(TSR_UNIMPLEMENTED, "submissions of kind " +
                                              std::to_string(value.kind) +
                                              " are not supported");
  }
}

}  // namespace tessera::probe
