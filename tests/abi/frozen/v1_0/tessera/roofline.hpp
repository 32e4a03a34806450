// SPDX-License-Identifier: Apache-2.0
//
// tessera/roofline.hpp - what a step would cost at given rates: each op takes
// the longer of moving its bytes and doing its operations.

#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "tessera/op_facts.hpp"
#include "tessera/plugin.h"

namespace tessera::sdk {

struct RooflineRates {
  double bytes_per_ns;
  double ops_per_ns;
  double op_ns;  // to start one kernel
};

namespace detail {

// Rows that an op of at most `facts.M` rows has in this step.
inline double rows_in_step(const OpFacts& facts,
                           const tsr_program_desc& program,
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

inline double plane_bytes(const std::vector<tsr_plane>& planes) {
  double bytes = 0.0;
  for (const tsr_plane& plane : planes) {
    bytes += static_cast<double>(plane.row_bytes) * plane.rows;
  }
  return bytes;
}

inline double kv_element_bytes(uint32_t format) {
  if (format == TSR_KV_F32) return 4.0;
  return format == TSR_KV_F16 || format == TSR_KV_BF16 ? 2.0 : 1.0;
}

inline Cost cost_of(const OpFacts& facts, const tsr_program_desc& program,
                    const tsr_step_shape& step) {
  const double rows = rows_in_step(facts, program, step);
  Cost cost;
  if (facts.kind == TSR_OP_LINEAR) {
    cost.ops = 2.0 * rows * facts.N * facts.K;
    cost.bytes = plane_bytes(facts.planes) + 4.0 * rows * (facts.N + facts.K);
  } else if (facts.kind == TSR_OP_ATTENTION) {
    const double cached = 1.0 * step.num_seqs * step.seq_len;
    cost.bytes = 2.0 * cached * facts.N / std::max(facts.gqa_ratio, 1U) *
                 kv_element_bytes(facts.kv_format);
    cost.ops = 4.0 * rows * step.seq_len * facts.N;
  } else {
    cost.bytes = 12.0 * rows * facts.N;
    cost.ops = 20.0 * rows * facts.N;
  }
  return cost;
}

}  // namespace detail

// The host keeps measurements beside it and trusts those more.
inline tsr_estimate roofline_estimate(const ProgramQuestion& question,
                                      const tsr_step_shape& step,
                                      const RooflineRates& rates) {
  double ns = 0.0;
  for (uint32_t i = 0; i < question.program.ops().size(); ++i) {
    const detail::Cost cost = detail::cost_of(read_op_facts(question, i),
                                              question.program.desc(), step);
    ns += rates.op_ns + std::max(cost.bytes / rates.bytes_per_ns,
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

}  // namespace tessera::sdk
