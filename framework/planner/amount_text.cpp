// SPDX-License-Identifier: Apache-2.0

#include "framework/planner/amount_text.hpp"

#include <fmt/format.h>

namespace tessera::planner {

std::string amount_text(RowMeaning meaning, double amount) {
  switch (meaning) {
    case RowMeaning::kMemory:
      if (amount < 1024.0 * 1024.0) return fmt::format("{:.0f} bytes", amount);
      return fmt::format("{:.2f} MiB", amount / (1024.0 * 1024.0));
    case RowMeaning::kTime:
    case RowMeaning::kLoad:
      return fmt::format("{:.4f} ms", amount / 1e6);
    case RowMeaning::kKl:
      break;
  }
  return fmt::format("{:.3g}", amount);
}

std::string objective_text(const std::string& objective, double amount) {
  if (objective == objective_name(Objective::kEnergy)) {
    return fmt::format("{:.4f} mJ", amount / 1e6);
  }
  return amount_text(objective == objective_name(Objective::kMemory)
                         ? RowMeaning::kMemory
                         : RowMeaning::kTime,
                     amount);
}

}  // namespace tessera::planner
