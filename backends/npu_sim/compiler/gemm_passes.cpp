// SPDX-License-Identifier: Apache-2.0
//
// Quantized inputs, widened weights and split sums go through GM: the cube and
// the vector cores have no nearer place in common.

#include "backends/npu_sim/compiler/gemm_passes.hpp"

namespace tessera::npu {
namespace {

Pass quantize_pass(const GemmPlan& plan) {
  Pass pass;
  pass.elements = plan.gemm.M * plan.gemm.K;
  pass.input = Tensor::kInput;
  pass.output = Tensor::kCodes;
  pass.in_bits = 16;
  pass.out_bits = bits_of(plan.kind.cube);
  const bool is_static =
      plan.gemm.scheme == Scheme::kW8A8 || plan.gemm.scheme == Scheme::kW8A8Sc;
  if (is_static) pass.function = VectorFunction::kQuantize;
  pass.passes = is_static ? 2 : 4;  // scale, cast; before it |x| and maximum
  return pass;
}

Pass widen_pass(const GemmPlan& plan) {
  Pass pass;
  pass.elements =
      plan.gemm.N * plan.gemm.K * static_cast<int64_t>(plan.parts.size());
  pass.input = Tensor::kWeight;
  pass.output = Tensor::kWideWeight;
  pass.in_bits = bits_of(plan.kind.stored_weight);
  pass.out_bits = bits_of(plan.kind.cube);
  pass.passes = 2;  // cast, scale
  return pass;
}

Pass reduce_pass(const GemmPlan& plan) {
  Pass pass;
  pass.elements = plan.gemm.M * plan.gemm.N;
  pass.num_inputs = plan.tiling.split_k;
  pass.input = Tensor::kPartials;
  pass.output = Tensor::kOutput;
  pass.in_bits = 32;
  pass.out_bits = bits_of(plan.gemm.out);
  pass.elements_per_cycle = 64;
  pass.passes = static_cast<double>(
      plan.tiling.split_k - 1 +
      (plan.kind.vector_epilogue ? plan.kind.vector_passes : 1));
  return pass;
}

}  // namespace

GemmPasses passes_of(const GemmPlan& plan) {
  GemmPasses passes;
  if (plan.kind.quantizes_input) passes.before.push_back(quantize_pass(plan));
  if (plan.kind.widens_weight) passes.before.push_back(widen_pass(plan));
  if (plan.tiling.split_k > 1) passes.after.push_back(reduce_pass(plan));
  return passes;
}

}  // namespace tessera::npu
