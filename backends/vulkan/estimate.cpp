// SPDX-License-Identifier: Apache-2.0
//
// What a step would cost: each op takes the longer of moving its bytes and
// doing its operations, at rates guessed from the kind of device.  The host
// keeps measurements beside it and trusts those more.

#include <algorithm>

#include "backends/vulkan/device.hpp"
#include "tessera/op_facts.hpp"

namespace tessera::vulkan {
namespace {

constexpr double kOpNs = 10'000.0;  // to enqueue and start one kernel

struct Rates {
  double bytes_per_ns;
  double ops_per_ns;
};

// Of a CPU what two cores give through lavapipe, of a GPU what a small one has.
Rates rates_of(const GpuFacts& facts) {
  return facts.is_cpu ? Rates{3.0, 8.0} : Rates{100.0, 1000.0};
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
  double ops = 0.0;
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

Cost cost_of(const sdk::OpFacts& facts, const tsr_program_desc& program,
             const tsr_step_shape& step) {
  const double rows = rows_in_step(facts, program, step);
  Cost cost;
  if (facts.kind == TSR_OP_LINEAR) {
    cost.ops = 2.0 * rows * facts.N * facts.K;
    cost.bytes = plane_bytes(facts.planes) + 4.0 * rows * (facts.N + facts.K);
  } else if (facts.kind == TSR_OP_ATTENTION) {
    const double cached = double{1.0} * step.num_seqs * step.seq_len;
    cost.bytes = 2.0 * cached * facts.N / std::max(facts.gqa_ratio, 1U) *
                 kv_code_bytes(facts.kv_format);
    cost.ops = 4.0 * rows * step.seq_len * facts.N;
  } else {
    cost.bytes = 12.0 * rows * facts.N;
    cost.ops = 20.0 * rows * facts.N;
  }
  return cost;
}

}  // namespace

tsr_estimate VulkanDevice::estimate(const sdk::ProgramQuestion& question,
                                    const tsr_step_shape& step) {
  const Rates rates = rates_of(gpu_.facts());
  double ns = 0.0;
  for (uint32_t i = 0; i < question.program.ops().size(); ++i) {
    const Cost cost =
        cost_of(sdk::read_op_facts(question, i), question.program.desc(), step);
    ns += kOpNs + std::max(cost.bytes / rates.bytes_per_ns,
                           cost.ops / rates.ops_per_ns);
  }
  tsr_estimate estimate{};
  estimate.struct_size = sizeof(estimate);
  estimate.source = TSR_COST_ROOFLINE;
  estimate.clock = TSR_CLOCK_WALL;
  estimate.mean_ns = static_cast<uint64_t>(ns);
  estimate.p90_ns = static_cast<uint64_t>(1.5 * ns);
  return estimate;
}

}  // namespace tessera::vulkan
