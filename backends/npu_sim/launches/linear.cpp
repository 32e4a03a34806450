// SPDX-License-Identifier: Apache-2.0
//
// Linear over a weight of this device.

#include "backends/npu_sim/function/linear/linear.hpp"

#include <map>
#include <string>
#include <variant>

#include "backends/npu_sim/device/device.hpp"
#include "backends/npu_sim/launches/launch.hpp"
#include "backends/npu_sim/launches/problem_of.hpp"

namespace tessera::npu {
namespace {

// The type in which the cube multiplies float activations.
Half cube_type(const Profile& profile, const sdk::OpFacts& facts,
               uint32_t x_dtype) {
  if (facts.weight_format == TSR_WEIGHT_F16 ||
      facts.weight_format == TSR_WEIGHT_F8E4M3) {
    return Half::kF16;
  }
  const bool bf16 =
      facts.weight_format == TSR_WEIGHT_BF16 || x_dtype == TSR_BF16;
  return bf16 && profile.cube.bf16 ? Half::kBf16 : Half::kF16;
}

class LinearLaunch final : public Launch {
 public:
  LinearLaunch(const LaunchInput& input, const tsr_op_linear& op)
      : device_(input.device),
        op_(op),
        facts_(input.facts),
        x_(input.rows(op.x)),
        y_(input.rows(op.y)),
        bias_(input.rows(op.bias)),
        multiplier_(input.rows(op.multiplier)),
        residual_(input.rows(op.residual)) {
    const auto weight = device_.weight(input.program.weights()[op.weight]);
    if (facts_.act_quant == TSR_ACT_FLOAT ||
        facts_.act_quant == TSR_ACT_F8_DYNAMIC) {
      half_ = weight->half(cube_type(device_.profile(), facts_, x_.dtype()));
    } else {
      integers_ = weight->integers();
    }
  }

  void run(const Step& step) override {
    Linear op;
    op.M = x_.entries(step);
    op.x = x_.const_entries(step);
    op.y = y_.mutable_entries(step);
    op.n_begin = facts_.n_begin;
    op.n_end = facts_.n_end;
    op.act_quant = op_.act_quant;
    op.num_decode_rows = step.submission.num_decode_tokens;
    op.bias = bias_.data<const float>(step);
    op.activation = op_.activation;
    if (multiplier_.exists()) op.multiplier = multiplier_.const_entries(step);
    if (residual_.exists()) op.residual = residual_.const_entries(step);
    op.accumulate = (op_.flags & TSR_LINEAR_ACCUMULATE) != 0;
    if (half_ != nullptr) {
      op.k_share = k_share(step, op.M);
      linear(*half_, op, scratch_, device_.parallel());
    } else {
      linear(*integers_, op, device_.accumulator_path(), scratch_,
             device_.parallel());
    }
  }

  Problem problem(const Step& step) const override {
    const bool decode =
        step.submission.num_decode_tokens == step.submission.num_tokens;
    return gemm_of(facts_, {x_.entries(step), decode, x_.dtype()});
  }

  std::string kernel_name() const override {
    const std::string format = sdk::names::weight_format(facts_.weight_format);
    return "linear_" + sdk::names::act_quant(facts_.act_quant) + "_" + format;
  }

 private:
  // As the compiler splits a product of so many rows.
  int64_t k_share(const Step& step, int64_t rows) {
    if (rows == 0) return 0;
    const auto [found, is_new] = k_shares_.try_emplace(rows, 0);
    if (is_new) {
      found->second = device_.timing().k_share(std::get<Gemm>(problem(step)));
    }
    return found->second;
  }

  NpuDevice& device_;
  tsr_op_linear op_;
  sdk::OpFacts facts_;
  std::shared_ptr<const HalfWeight> half_;
  std::shared_ptr<const IntegerWeight> integers_;
  TensorRows x_;
  TensorRows y_;
  TensorRows bias_;
  TensorRows multiplier_;
  TensorRows residual_;
  LinearScratch scratch_;
  std::map<int64_t, int64_t> k_shares_;  // by rows
};

}  // namespace

std::unique_ptr<Launch> make_linear(const LaunchInput& input) {
  return std::make_unique<LinearLaunch>(input, input.op.as<tsr_op_linear>());
}

}  // namespace tessera::npu
