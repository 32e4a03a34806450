// SPDX-License-Identifier: Apache-2.0
//
// Runs a whole graph through the reference ops: what every device is held
// against.

#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "framework/base/status.hpp"
#include "framework/conformance/reference/linear/linear.hpp"
#include "framework/graph/graph.hpp"
#include "framework/graph/weight_source.hpp"
#include "framework/host/device/numerics.hpp"
#include "framework/planner/plan.hpp"

namespace tessera {

// Whose arithmetic an oracle follows.  As it stands, nobody's in particular:
// only what the scheme keeps between ops is rounded.
struct OracleNumerics {
  reference::SumOrder order = reference::SumOrder::kDouble;
  DeviceNumerics device;
};

// How far each value of a kernel that is fed the oracle's inputs may be from
// the oracle's; empty: the same bits.
using OracleBounds = std::vector<double>;

// All tensors of a pass, by graph tensor, each as the plan keeps it.
struct OracleTrace {
  std::vector<std::vector<float>> values;  // empty: constants
  std::vector<OracleBounds> bounds;        // of error class HALF_PRODUCTS
};

// Every op is computed in double (or as `numerics` says) and rounded once to
// the type that the plan's scheme keeps between ops.  With scheme f32 this is
// "the oracle's f32" of numerics.md section 4.
class Oracle {
 public:
  // Reads and rounds all weights.  Devices in `plan` are ignored.
  static Result<Oracle> create(const Graph& graph, const Plan& plan,
                               const WeightSource& source,
                               const OracleNumerics& numerics = {});
  Oracle(Oracle&&) noexcept;
  Oracle& operator=(Oracle&&) noexcept;
  ~Oracle();

  // Logits of every position of one text, [tokens.size(), vocab_size], as if it
  // were a sequence of its own.  `phase` is that of all its tokens.
  //
  // Errors: INVALID_ARGUMENT for an id outside the vocabulary or a text longer
  // than the graph's context.
  // Threads: any.
  Result<std::vector<float>> logits(std::span<const int32_t> tokens,
                                    uint32_t phase) const;

  // What passes between the ops of logits().
  Result<OracleTrace> trace(std::span<const int32_t> tokens,
                            uint32_t phase) const;

 private:
  struct State;
  explicit Oracle(std::unique_ptr<State> state);
  std::unique_ptr<const State> state_;
};

}  // namespace tessera
