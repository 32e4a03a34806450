// SPDX-License-Identifier: Apache-2.0
//
// The budgets that an evaluation may be held to.

#pragma once

#include <optional>
#include <string>
#include <vector>

#include "framework/eval/metrics.hpp"

namespace tessera::cli {

struct Gates {
  std::optional<double> max_kl;    // nats
  std::optional<double> max_drop;  // points of accuracy
};

// Points of accuracy that `metrics` lost against the oracle.
double accuracy_drop(const EvalMetrics& metrics, double oracle_accuracy);

// One sentence per gate that is missed.  max_kl holds if the upper end of the
// interval of the mean KL is under it; max_drop if the drop is at most that.
// Source: numerics.md section 4.
std::vector<std::string> missed_gates(const Gates& gates,
                                      const EvalMetrics& metrics,
                                      double oracle_accuracy);

}  // namespace tessera::cli
