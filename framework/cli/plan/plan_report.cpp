// SPDX-License-Identifier: Apache-2.0

#include "framework/cli/plan/plan_report.hpp"

#include <fmt/format.h>

#include <map>
#include <vector>

#include "framework/bench/statistics/median_interval.hpp"
#include "framework/cli/figures.hpp"
#include "framework/cli/table.hpp"

namespace tessera::cli {
namespace {

using planner::PlanFile;
using planner::PlannedLayer;

std::string times_text(const std::map<std::string, double>& times) {
  std::string text;
  for (const auto& [clock, ns] : times) {
    text += fmt::format("{}{} ({} clock)", text.empty() ? "" : " + ",
                        duration_text(ns), clock);
  }
  return text;
}

std::string value_text(const std::string& objective, double value) {
  if (objective == "energy") return fmt::format("{:.4g} mJ", value / 1e6);
  if (objective == "memory") {
    return bytes_text(static_cast<uint64_t>(value));
  }
  return duration_text(value);
}

// How many linears each device has in each precision.
std::string placement_text(const PlanFile& plan) {
  std::map<std::string, std::map<std::string, int>> counts;
  std::map<std::string, int> segments;
  for (const PlannedLayer& layer : plan.layers) {
    for (const planner::PlannedPart& part : layer.phases[planner::kDecode]) {
      if (layer.op == "linear") {
        ++counts[part.device][part.scheme];
      } else {
        ++segments[part.device];
      }
    }
  }
  std::string text;
  for (const auto& [device, count] : segments) {
    text += fmt::format("  {}: {} segments", device, count);
    for (const auto& [scheme, linears] : counts[device]) {
      text += fmt::format(", {} {}", linears, scheme);
    }
    text += "\n";
  }
  return text;
}

}  // namespace

std::vector<std::string> plan_headlines(const PlanFile& plan) {
  return {fmt::format(
              "{} {}, at most {:.3g} % from the best plan (bound {})",
              plan.objective, value_text(plan.objective, plan.objective_value),
              100.0 * plan.gap, value_text(plan.objective, plan.lower_bound)),
          fmt::format("prefill {}, decode step {}", times_text(plan.prefill_ns),
                      times_text(plan.decode_ns))};
}

std::string plan_summary(const PlanFile& plan) {
  std::string text;
  for (const std::string& line : plan_headlines(plan)) text += line + "\n";
  if (!plan.in_place.empty()) text += plan.in_place + "\n";
  text += fmt::format("KL predicted {:.3g}", plan.kl_predicted);
  if (plan.kl_limit) text += fmt::format(" of {:.3g}", *plan.kl_limit);
  if (plan.kl_measured) {
    text += fmt::format(", measured {:.3g}", *plan.kl_measured);
    if (plan.kl_measured_ci95) {
      text += fmt::format(" [{:.3g}, {:.3g}]", (*plan.kl_measured_ci95)[0],
                          (*plan.kl_measured_ci95)[1]);
    }
  }
  text += "\n";
  for (const auto& [pool, bytes] : plan.memory) {
    const auto limit = plan.memory_limits.find(pool);
    text += fmt::format("memory of {}: {}{}\n", pool, bytes_text(bytes),
                        limit == plan.memory_limits.end()
                            ? ""
                            : " of " + bytes_text(limit->second));
  }
  return text + placement_text(plan);
}

std::string baselines_text(const PlanFile& plan,
                           const std::vector<planner::Baseline>& baselines) {
  Table table({{"plan"},
               {"as"},
               {plan.objective, Align::kRight},
               {"to ours", Align::kRight},
               {"KL", Align::kRight}});
  std::vector<double> ratios;
  table.add_row({"tessera", "",
                 value_text(plan.objective, plan.objective_value), "1.000",
                 fmt::format("{:.3g}", plan.kl_predicted)});
  for (const planner::Baseline& baseline : baselines) {
    if (!baseline.feasible) {
      table.add_row({baseline.name, "keeps no limits", "-", "-", "-"});
      continue;
    }
    const double objective = baseline.prediction.objective;
    ratios.push_back(objective / plan.objective_value);
    table.add_row({baseline.name, baseline.detail,
                   value_text(plan.objective, objective),
                   fmt::format("{:.3f}", objective / plan.objective_value),
                   fmt::format("{:.3g}", baseline.prediction.kl)});
  }
  if (ratios.empty()) return table.text();
  return table.text() +
         fmt::format("predicted, in the median {:.3f} times ours\n",
                     bench::quantile_of(ratios, 0.5));
}

}  // namespace tessera::cli
