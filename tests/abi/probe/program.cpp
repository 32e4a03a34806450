// SPDX-License-Identifier: Apache-2.0

#include "tests/abi/probe/program.hpp"

#include <cstdio>
#include <utility>

namespace tessera::probe {

Program::Program(const sdk::ProgramView& program, const ProbeDevice& device)
    : desc_(program.desc()),
      tensors_(program.tensors()),
      num_ops_(static_cast<uint32_t>(program.ops().size())),
      places_(program, device) {
  compile(program, device);
}

void Program::compile(const sdk::ProgramView& program,
                      const ProbeDevice& device) {
  for (uint32_t i = 0; i < num_ops_; ++i) {
    const sdk::OpRecord& op = program.ops()[i];
    kinds_.push_back(op.kind());
    if (op.kind() == TSR_OP_ADD) {
      adds_.push_back(op.as<tsr_op_elementwise>());
      add_segment(i, 1, "add_f32__scalar");
      continue;
    }
    Linear made{op.as<tsr_op_linear>(), nullptr, TSR_NONE};
    made.weight = device.weight(program.weights()[made.op.weight]);
    if (!can_fuse(program, made.op, i + 1)) {
      add_segment(i, 1, "linear_f32_f32__scalar");
      linears_.push_back(std::move(made));
      continue;
    }
    const auto sum = program.ops()[i + 1].as<tsr_op_elementwise>();
    made.addend = sum.a == made.op.y ? sum.b : sum.a;
    made.op.y = sum.y;
    linears_.push_back(std::move(made));
    add_segment(i++, 2, "linear_f32_f32_add__scalar");
  }
}

bool Program::can_fuse(const sdk::ProgramView& program,
                       const tsr_op_linear& linear, uint32_t behind) const {
  const bool is_own = (tensors_[linear.y].flags & TSR_TENSOR_TRANSIENT) != 0;
  if (!is_own || behind >= num_ops_) return false;
  uint32_t readers = 0;
  for (uint32_t i = behind; i < num_ops_; ++i) {
    if (program.ops()[i].kind() != TSR_OP_ADD) return false;
    const auto sum = program.ops()[i].as<tsr_op_elementwise>();
    readers += (sum.a == linear.y) + (sum.b == linear.y);
    if (i == behind && readers != 1) return false;
  }
  return readers == 1;
}

void Program::add_segment(uint32_t first_op, uint32_t num_ops,
                          const char* kernel) {
  tsr_segment segment{};
  segment.struct_size = sizeof(segment);
  segment.first_op = first_op;
  segment.num_ops = num_ops;
  std::snprintf(segment.kernel, sizeof(segment.kernel), "%s", kernel);
  segments_.push_back(segment);
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
  const float* addend =
      linear.addend == TSR_NONE ? nullptr : places_.at<float>(linear.addend);
  const uint64_t M = sdk::num_rows(tensors_[linear.op.y], step);
  for (uint64_t m = 0; m < M; ++m) {
    for (uint64_t n = 0; n < w.N; ++n) {
      float sum = 0;
      for (uint64_t k = 0; k < w.K; ++k) {
        sum += x[m * w.K + k] * w.transposed[k * w.N + n];
      }
      if (addend != nullptr) sum += addend[m * w.N + n];
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
        device_.record_profile(value.program, program->num_ops());
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
