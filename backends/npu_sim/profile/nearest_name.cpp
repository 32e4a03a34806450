// SPDX-License-Identifier: Apache-2.0
//
// Levenshtein distance over a short list.

#include "backends/npu_sim/profile/nearest_name.hpp"

#include <algorithm>
#include <cstddef>
#include <limits>

namespace tessera::npu {
namespace {

size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t replace = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, replace});
    }
  }
  return row.back();
}

size_t common_prefix(std::string_view a, std::string_view b) {
  const auto ends = std::mismatch(a.begin(), a.end(), b.begin(), b.end());
  return static_cast<size_t>(ends.first - a.begin());
}

}  // namespace

std::string nearest_name(std::string_view wanted,
                         const std::vector<std::string>& names) {
  std::string best;
  size_t best_distance = std::numeric_limits<size_t>::max();
  for (const std::string& name : names) {
    const size_t distance = edit_distance(wanted, name);
    const bool is_as_near =
        distance == best_distance &&
        common_prefix(wanted, name) > common_prefix(wanted, best);
    if (distance < best_distance || is_as_near) {
      best = name;
      best_distance = distance;
    }
  }
  return best;
}

}  // namespace tessera::npu
