// SPDX-License-Identifier: Apache-2.0

#include "framework/tuning/plan/timed_costs.hpp"

#include <optional>
#include <vector>

#include "framework/tuning/plan/cost_source.hpp"

namespace tessera {

using planner::Cell;
using planner::kPrefill;
using planner::LinearClass;
using planner::Problem;

void TimedCosts::note(const CostPlace& place, const SegmentCost& cost) {
  if (!cost.refusal.empty() || is_estimate(cost.own[kPrefill])) return;
  costs_[place] = cost;
}

void TimedCosts::forget_kept(uint32_t device) {
  std::erase_if(costs_, [device](const auto& entry) {
    return entry.first.device == device && is_kept(entry.second.own[kPrefill]);
  });
}

void TimedCosts::put(uint32_t index, uint32_t device,
                     const ProbedClasses& classes, Problem& problem) const {
  const auto begin = costs_.lower_bound({index, device, 0});
  const auto end = costs_.upper_bound({index, device, UINT32_MAX});
  std::optional<SegmentCost> own;
  for (auto it = begin; it != end; ++it) keep_least(it->second, own);
  if (!own) return;
  put_site(*own, index, device, problem);
  const std::vector<uint32_t>& weights = classes.segments[index]->weights;
  for (auto it = begin; it != end; ++it) {
    const auto& [place, cost] = *it;
    for (size_t i = 0; i < weights.size(); ++i) {
      LinearClass& entry =
          problem.linear_classes[classes.first_linear[index] + i];
      for (Cell& cell : entry.cells) {
        const bool is_divided = cell.parts.size() > 1;
        if (is_divided || cell.host != device || cell.scheme != place.scheme) {
          continue;
        }
        take_cell(cost, index, weights[i], cell, entry, problem);
      }
    }
  }
}

}  // namespace tessera
