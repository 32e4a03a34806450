// SPDX-License-Identifier: Apache-2.0
//
// Linear over a weight of this device.

#include <string>

#include "backends/cpu/compile_op.hpp"
#include "backends/cpu/device.hpp"
#include "backends/cpu/kernels/linear/linear.hpp"
#include "backends/cpu/weights.hpp"

namespace tessera::cpu {
namespace {

std::shared_ptr<PackedWeight> weight_of(const CompileInput& input,
                                        uint32_t index) {
  const auto& weights = input.program.weights();
  if (index >= weights.size()) {
    throw sdk::Error(TSR_INVALID_ARGUMENT, "weight " + std::to_string(index) +
                                               " of " +
                                               std::to_string(weights.size()));
  }
  return input.device.weight(weights[index]);
}

class LinearOp final : public CompiledOp {
 public:
  LinearOp(const CompileInput& input, const tsr_op_linear& op)
      : op_(op),
        weight_(weight_of(input, op.weight)),
        x_(input.rows(op.x)),
        y_(input.rows(op.y)),
        bias_(input.optional_rows(op.bias)),
        multiplier_(input.optional_rows(op.multiplier)),
        residual_(input.optional_rows(op.residual)) {
    LinearLimits limits;
    limits.max_M = x_.max_entries();
    limits.K = weight_->linear().shape.K;
    limits.num_threads = input.device.parallel().num_threads;
    workspace_bytes_ = linear_workspace_bytes(limits);
    Linear one = describe({1, 1, 1, 1});
    one.M = 1;
    name_ = linear_kernel_name(weight_->linear(), one, input.device.exec());
  }

  uint64_t scratch_bytes() const override { return workspace_bytes_; }
  std::string kernel_name() const override { return name_; }

  void run(const RunContext& context) const override {
    Linear op = describe(context.step);
    op.x.data = x_.data();
    op.y.data = y_.data();
    if (bias_) op.bias = bias_->as<const float>();
    if (multiplier_) op.multiplier.data = multiplier_->data();
    if (residual_) op.residual.data = residual_->data();
    linear(weight_->linear(), op, {context.scratch, workspace_bytes_},
           context.exec);
  }

 private:
  // Everything but the addresses.
  Linear describe(const Step& step) const {
    Linear op;
    op.M = x_.entries(step);
    op.x = {nullptr, x_.dtype(), x_.entry_stride()};
    op.y = {nullptr, y_.dtype(), y_.entry_stride()};
    op.n_begin = op_.n_begin;
    op.n_end = op_.n_end;
    op.act_quant = op_.act_quant;
    op.num_decode_rows = step.num_decode_tokens;
    op.activation = op_.activation;
    if (multiplier_) {
      op.multiplier = {nullptr, multiplier_->dtype(),
                       multiplier_->entry_stride()};
    }
    if (residual_) {
      op.residual = {nullptr, residual_->dtype(), residual_->entry_stride()};
    }
    op.accumulate = (op_.flags & TSR_LINEAR_ACCUMULATE) != 0;
    return op;
  }

  tsr_op_linear op_;
  std::shared_ptr<PackedWeight> weight_;
  TensorRows x_;
  TensorRows y_;
  std::unique_ptr<TensorRows> bias_;
  std::unique_ptr<TensorRows> multiplier_;
  std::unique_ptr<TensorRows> residual_;
  uint64_t workspace_bytes_ = 0;
  std::string name_;
};

}  // namespace

std::unique_ptr<CompiledOp> compile_linear(const CompileInput& input) {
  return std::make_unique<LinearOp>(input, input.op.as<tsr_op_linear>());
}

}  // namespace tessera::cpu
