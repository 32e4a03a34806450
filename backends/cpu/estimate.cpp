// SPDX-License-Identifier: Apache-2.0
//
// What a step would cost: each op takes the longer of moving its bytes and
// doing its operations, at nominal rates of two current server cores.  The host
// keeps measurements beside it and trusts those more.

#include <algorithm>

#include "backends/cpu/device.hpp"
#include "tessera/op_facts.hpp"

namespace tessera::cpu {
namespace {

// Per thread.  One core of a current server reads about 12 GB/s from memory;
// FMA units do 2 x lanes x 2 operations a cycle at about 3 GHz.
constexpr double kBytesPerNs = 12.0;
constexpr double kOpNs = 300.0;  // per op: hand-over to threads and back

double float_ops_per_ns(Isa isa) {
  switch (isa) {
    case Isa::kScalar:
      return 6.0;
    case Isa::kAvx2:
      return 90.0;
    case Isa::kAvx512:
    case Isa::kAvx512Vnni:
    case Isa::kAvx512Bf16:
    case Isa::kAmx:
      return 180.0;
  }
  return 6.0;
}

// A product of pairs does two multiply-adds a lane where an FMA does one; tiles
// do 8,192 in 16 cycles, where the FMA units do 32 in one.
double bf16_ops_per_ns(Isa isa) {
  if (isa >= Isa::kAmx) return 16.0 * float_ops_per_ns(isa);
  return float_ops_per_ns(isa) * (isa >= Isa::kAvx512Bf16 ? 2.0 : 1.0);
}

// Likewise four, and 16,384.
double integer_ops_per_ns(Isa isa) {
  if (isa >= Isa::kAmx) return 32.0 * float_ops_per_ns(isa);
  return float_ops_per_ns(isa) * (isa >= Isa::kAvx512Vnni ? 4.0 : 1.0);
}

// Rows that an op of at most `facts.M` rows has in this step.
double rows_in_step(const sdk::OpFacts& facts, const tsr_program_desc& program,
                    const tsr_step_shape& step) {
  if (!facts.M_varies) return facts.M;
  const bool by_outputs = program.max_outputs != program.max_tokens &&
                          facts.M == program.max_outputs;
  return std::min<double>(facts.M,
                          by_outputs ? step.num_outputs : step.num_tokens);
}

struct Cost {
  double bytes = 0.0;
  double float_ops = 0.0;
  double bf16_ops = 0.0;
  double integer_ops = 0.0;
};

double plane_bytes(const std::vector<tsr_plane>& planes) {
  double bytes = 0.0;
  for (const tsr_plane& plane : planes) {
    bytes += static_cast<double>(plane.row_bytes) * plane.rows;
  }
  return bytes;
}

double kv_code_bytes(uint32_t format) {
  if (format == TSR_KV_F32) return 4.0;
  return format == TSR_KV_F16 || format == TSR_KV_BF16 ? 2.0 : 1.0;
}

bool has_bf16_input(const sdk::OpFacts& facts) {
  return !facts.inputs.empty() && facts.inputs.front().dtype == TSR_BF16;
}

double& linear_ops(const sdk::OpFacts& facts, Cost& cost) {
  if (facts.act_quant == TSR_ACT_FLOAT) {
    const bool is_wide = facts.weight_format == TSR_WEIGHT_F32 ||
                         facts.weight_format == TSR_WEIGHT_F16;
    return has_bf16_input(facts) && !is_wide ? cost.bf16_ops : cost.float_ops;
  }
  const bool is_integer =
      facts.act_quant != TSR_ACT_F8_DYNAMIC && facts.act_quant != TSR_ACT_Q8;
  return is_integer ? cost.integer_ops : cost.float_ops;
}

void add_products(const sdk::OpFacts& facts, double ops, Cost& cost) {
  if (facts.kv_format == TSR_KV_I8_HEAD) {
    cost.integer_ops = 1.5 * ops;  // fa3 makes the scores twice
    return;
  }
  const bool is_wide =
      facts.kv_format == TSR_KV_F32 || facts.kv_format == TSR_KV_F16;
  (has_bf16_input(facts) && !is_wide ? cost.bf16_ops : cost.float_ops) = ops;
}

Cost cost_of(const sdk::OpFacts& facts, const tsr_program_desc& program,
             const tsr_step_shape& step) {
  const double rows = rows_in_step(facts, program, step);
  Cost cost;
  if (facts.kind == TSR_OP_LINEAR) {
    linear_ops(facts, cost) = 2.0 * rows * facts.N * facts.K;
    cost.bytes = plane_bytes(facts.planes) + 4.0 * rows * (facts.N + facts.K);
  } else if (facts.kind == TSR_OP_ATTENTION) {
    const double cached = double{1.0} * step.num_seqs * step.seq_len;
    cost.bytes = 2.0 * cached * facts.N / std::max(facts.gqa_ratio, 1U) *
                 kv_code_bytes(facts.kv_format);
    add_products(facts, 4.0 * rows * step.seq_len * facts.N, cost);
  } else {
    cost.bytes = 12.0 * rows * facts.N;
    cost.float_ops = 20.0 * rows * facts.N;
  }
  return cost;
}

}  // namespace

tsr_estimate CpuDevice::estimate(const sdk::ProgramQuestion& question,
                                 const tsr_step_shape& step) {
  const double threads = parallel_.num_threads;
  double ns = 0.0;
  for (uint32_t i = 0; i < question.program.ops().size(); ++i) {
    const Cost cost =
        cost_of(sdk::read_op_facts(question, i), question.program.desc(), step);
    const double compute = cost.float_ops / float_ops_per_ns(options_.isa) +
                           cost.bf16_ops / bf16_ops_per_ns(options_.isa) +
                           cost.integer_ops / integer_ops_per_ns(options_.isa);
    ns += kOpNs + std::max(cost.bytes / kBytesPerNs, compute) / threads;
  }
  tsr_estimate estimate{};
  estimate.struct_size = sizeof(estimate);
  estimate.source = TSR_COST_ROOFLINE;
  estimate.clock = TSR_CLOCK_WALL;
  estimate.mean_ns = static_cast<uint64_t>(ns);
  estimate.p90_ns = static_cast<uint64_t>(1.5 * ns);
  return estimate;
}

}  // namespace tessera::cpu
