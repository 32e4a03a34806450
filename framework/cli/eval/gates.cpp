// SPDX-License-Identifier: Apache-2.0

#include "framework/cli/eval/gates.hpp"

#include <fmt/format.h>

#include "framework/cli/figures.hpp"

namespace tessera::cli {

double accuracy_drop(const EvalMetrics& metrics, double oracle_accuracy) {
  return 100.0 * (oracle_accuracy - metrics.accuracy.value);
}

// Negated comparisons, so that a NaN misses its gate.
std::vector<std::string> missed_gates(const Gates& gates,
                                      const EvalMetrics& metrics,
                                      double oracle_accuracy) {
  std::vector<std::string> missed;
  if (gates.max_kl && !(metrics.kl_mean.upper() < *gates.max_kl)) {
    missed.push_back(
        fmt::format("the mean KL may reach {}, which is not under --max-kl {}",
                    number_text(metrics.kl_mean.upper()), *gates.max_kl));
  }
  const double drop = accuracy_drop(metrics, oracle_accuracy);
  if (gates.max_drop && !(drop <= *gates.max_drop)) {
    missed.push_back(
        fmt::format("accuracy drops by {} points, more than --max-drop {}",
                    number_text(drop), *gates.max_drop));
  }
  return missed;
}

}  // namespace tessera::cli
