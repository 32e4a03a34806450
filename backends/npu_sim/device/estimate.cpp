// SPDX-License-Identifier: Apache-2.0
//
// What a step would cost on the simulated chip, from the analytic model: no
// weight, pool or program need exist.

#include <algorithm>

#include "backends/npu_sim/device/device.hpp"
#include "backends/npu_sim/launches/problem_of.hpp"

namespace tessera::npu {
namespace {

// Rows that an op of at most facts.M rows has in this step.
int64_t rows_in_step(const sdk::OpFacts& facts, const tsr_program_desc& program,
                     const tsr_step_shape& step) {
  if (!facts.M_varies) return facts.M;
  const bool by_outputs = program.max_outputs != program.max_tokens &&
                          facts.M == program.max_outputs;
  const int64_t most = by_outputs ? program.max_outputs : program.max_tokens;
  const int64_t now = by_outputs ? step.num_outputs : step.num_tokens;
  // Rows may be heads of tokens.
  const int64_t each =
      std::max<int64_t>(1, facts.M / std::max<int64_t>(most, 1));
  return std::min<int64_t>(facts.M, each * now);
}

Attention attention_of(const sdk::OpFacts& facts, const tsr_step_shape& step) {
  Attention problem;
  const int64_t seqs = std::max<int64_t>(step.num_seqs, 1);
  for (int64_t s = 0; s < seqs; ++s) {
    // The tokens of a step, as evenly as they go.
    const int64_t q_len = (step.num_tokens + s) / seqs;
    if (q_len == 0) continue;
    problem.q_lens.push_back(q_len);
    problem.seq_lens.push_back(std::max<int64_t>(step.seq_len, q_len));
  }
  problem.num_q_heads = facts.N / facts.head_dim;
  problem.num_kv_heads = problem.num_q_heads / facts.gqa_ratio;
  problem.qk_dim = problem.v_dim = facts.head_dim;
  problem.causal = facts.mask != TSR_MASK_FULL;
  problem.block_size = facts.block_size;
  problem.kv = kv_type_of(facts.kv_format);
  return problem;
}

Problem problem_of(const sdk::OpFacts& facts, const tsr_program_desc& program,
                   const tsr_step_shape& step) {
  const int64_t rows = rows_in_step(facts, program, step);
  const uint32_t x_dtype =
      facts.inputs.empty() ? uint32_t{TSR_F32} : facts.inputs[0].dtype;
  if (facts.kind == TSR_OP_LINEAR) {
    return gemm_of(facts, {rows, step.phase == TSR_DECODE, x_dtype});
  }
  if (facts.kind == TSR_OP_ATTENTION) return attention_of(facts, step);
  if (facts.kind == TSR_OP_KV_APPEND) {
    CacheAppend append;
    append.tokens = rows;
    append.num_kv_heads = facts.N / facts.head_dim;
    append.head_dim = facts.head_dim;
    append.block_size = facts.block_size;
    append.type = type_of(x_dtype);
    append.kv = kv_type_of(facts.kv_format);
    append.rotates = facts.rope_style != TSR_ROPE_NONE;
    return append;
  }
  SmallOp problem;
  problem.kind = small_kind_of(facts.kind);
  problem.rows = rows;
  problem.columns = facts.N;
  problem.type = type_of(x_dtype);
  problem.out = type_of(facts.y_dtype);
  return problem;
}

}  // namespace

tsr_estimate NpuDevice::estimate(const sdk::ProgramQuestion& question,
                                 const tsr_step_shape& step) {
  double ns = 0;
  double joules = 0;
  for (uint32_t i = 0; i < question.program.ops().size(); ++i) {
    const sdk::OpFacts facts = sdk::read_op_facts(question, i);
    const Simulation one =
        timing_.guess(problem_of(facts, question.program.desc(), step));
    ns += one.launch_ns + one.time_ns;
    joules += one.energy.joules[1];
  }
  tsr_estimate estimate{};
  estimate.struct_size = sizeof(estimate);
  estimate.source = TSR_COST_SIMULATED;
  estimate.clock = TSR_CLOCK_SIMULATED;
  estimate.mean_ns = static_cast<uint64_t>(ns);
  // The analytic model is held to 15 % of the machine's time.
  estimate.p90_ns = static_cast<uint64_t>(1.15 * ns);
  estimate.energy_nj = static_cast<uint64_t>(1e9 * joules);
  return estimate;
}

}  // namespace tessera::npu
