// SPDX-License-Identifier: Apache-2.0
//
// Quantized inputs and widened weights go through GM: the cube and the vector
// cores have no nearer place in common.

#include "backends/npu_sim/compiler/gemm/passes.hpp"

#include "backends/npu_sim/compiler/gemm/layout.hpp"

namespace tessera::npu {

Pass quantize_pass(const Profile& profile, const GemmPlan& plan) {
  Pass pass;
  pass.elements = plan.gemm.M * plan.gemm.K;
  pass.input = Tensor::kInput;
  pass.output = Tensor::kCodes;
  pass.out = plan.kind.cube;
  // In 32 bit, as scales are: cast, scale, two casts back; |x| and maximum
  // before, for which a core takes whole rows.
  pass.elements_per_cycle = profile.vector.bytes_per_cycle / 4;
  pass.passes = plan.kind.per_token ? 6 : 4;
  pass.function = plan.kind.per_token ? VectorFunction::kQuantizeRows
                                      : VectorFunction::kQuantize;
  if (plan.kind.per_token) pass.row_elements = plan.gemm.K;
  return pass;
}

namespace {

Pass widen_pass(const GemmPlan& plan, const WeightSlice& slice) {
  Pass pass;
  pass.elements = slice.elements;
  pass.input = Tensor::kWeight;
  pass.first_input = slice.first_element;
  pass.output = Tensor::kWideWeight;
  pass.in = plan.kind.stored_weight;
  pass.out = plan.kind.cube;
  pass.passes = 2;  // cast, scale
  pass.function = VectorFunction::kWiden;
  const Gemm& gemm = plan.gemm;
  const bool has_groups = gemm.group_size > 0 && gemm.group_size < gemm.K;
  if (has_groups && plan.kind.sum_k == 0) pass.scale_group = gemm.group_size;
  return pass;
}

}  // namespace

std::vector<Pass> passes_before(const Profile& profile, const GemmPlan& plan,
                                const WeightSlice& slice) {
  std::vector<Pass> passes;
  if (plan.kind.quantizes_input && slice.index == 0 && !plan.is_later_slice) {
    passes.push_back(quantize_pass(profile, plan));
  }
  if (plan.kind.widens_weight) passes.push_back(widen_pass(plan, slice));
  return passes;
}

}  // namespace tessera::npu
