// SPDX-License-Identifier: Apache-2.0
//
// One text on its way through the oracle, op by op.

#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "framework/base/status.hpp"
#include "framework/conformance/reference/attention/attention.hpp"
#include "framework/conformance/reference/attention/kv.hpp"
#include "framework/conformance/reference/linear/linear.hpp"
#include "framework/eval/oracle.hpp"
#include "framework/graph/graph.hpp"
#include "framework/planner/plan.hpp"
#include "framework/runtime/lowering.hpp"

namespace tessera {

// What all passes of an oracle read.
struct OraclePassModel {
  const Graph& graph;
  const Plan& plan;
  const OracleNumerics& numerics;
  const std::vector<reference::Weight>& weights;
  const std::vector<std::vector<float>>& constants;  // by graph tensor
};

// Requires  what `model` names and `tokens` outlive the pass
class OraclePass {
 public:
  OraclePass(const OraclePassModel& model, std::span<const int32_t> tokens,
             uint32_t phase);

  // Lets run() find bounds too.
  void watch() { bounds_.resize(model_.graph.tensors.size()); }
  // Once.
  Status run();
  OracleTrace take_trace() { return {std::move(values_), std::move(bounds_)}; }
  std::vector<float> take(uint32_t tensor) {
    return std::move(values_[tensor]);
  }

 private:
  // Each op, from the oracle's values to its own.
  Status compute(const tsr_op_linear& o);
  Status compute(const tsr_op_attention& o);
  Status compute(const tsr_op_kv_append& o);
  Status compute(const tsr_op_norm& o);
  Status compute(const tsr_op_rope& o);
  Status compute(const tsr_op_elementwise& o);
  Status compute(const tsr_op_softmax& o);
  Status compute(const tsr_op_gather& o);

  Status bound(const tsr_op_linear& o, const reference::Linear& p);
  Status bound(const tsr_op_attention& o, const reference::Attention& p);
  // `magnitude` of a value: of the largest term that goes into it.  Portable
  // ops have no bound: their bits are given.
  template <typename Magnitude>
  void bound_floats(uint32_t tensor, const Magnitude& magnitude);

  Status open_pools();
  // How the plan keeps a tensor of the op that runs.
  uint32_t kept_dtype(uint32_t tensor) const;
  bool leaves_through_fixed_pipe(const tsr_op_linear& o,
                                 const reference::Linear& p) const;
  LinearChoice choice_of(const tsr_op_linear& o) const;
  // What a unit of 16-bit factors takes from the weight, or the cache.
  uint32_t half_dtype(const tsr_op_linear& o) const;
  uint32_t half_dtype(const tsr_op_attention& o) const;
  // Elements of a tensor in this pass: every symbolic dimension is count_.
  size_t elements(uint32_t tensor) const;
  const float* read(uint32_t tensor) const;
  float* write(uint32_t tensor);
  bool is_portable() const { return model_.numerics.device.portable_ops; }

  OraclePassModel model_;
  std::span<const int32_t> tokens_;
  uint32_t count_;
  uint32_t phase_;
  const LayerPlan* layer_ = nullptr;
  std::vector<std::vector<float>> values_;
  std::vector<OracleBounds> bounds_;  // empty: nobody asks
  std::vector<std::vector<std::byte>> memory_;
  std::vector<reference::KvPool> pools_;
  std::vector<int32_t> ascending_;
  int32_t q_starts_[2] = {0, 0};
  int32_t seq_len_ = 0;
  int32_t block_ = 0;
};

}  // namespace tessera
