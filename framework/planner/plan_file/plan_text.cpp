// SPDX-License-Identifier: Apache-2.0

#include "framework/planner/plan_file/plan_text.hpp"

#include <fmt/format.h>
#include <fnmatch.h>

#include "framework/planner/amount_text.hpp"

namespace tessera::planner {
namespace {

std::string milliseconds(double ns) {
  return amount_text(RowMeaning::kTime, ns);
}

std::string parts_text(const std::vector<PlannedPart>& parts) {
  std::string text;
  for (const PlannedPart& part : parts) {
    if (!text.empty()) text += " + ";
    text += part.device;
    if (!part.scheme.empty()) text += " " + part.scheme;
    if (parts.size() > 1) {
      text += fmt::format(" rows {}..{}", part.n_begin, part.n_end);
    }
    if (!part.kernel.empty()) text += " by " + part.kernel;
    text += ", " + milliseconds(part.predicted_ns);
  }
  return text;
}

// What runs where, times apart.
std::string choice_text(const PlannedLayer& layer) {
  std::string text;
  for (const auto& parts : layer.phases) {
    std::string phase;
    for (const PlannedPart& part : parts) {
      phase += (phase.empty() ? "" : " + ") + part.device;
      if (!part.scheme.empty()) phase += " " + part.scheme;
    }
    if (phase != text) text += (text.empty() ? "" : ", decode ") + phase;
  }
  return text;
}

std::string explain(const PlannedLayer& layer, const std::string& objective) {
  std::string text = layer.name + "\n";
  text += "  prefill  " + parts_text(layer.phases[kPrefill]) + "\n";
  text += "  decode   " + parts_text(layer.phases[kDecode]) + " a step\n";
  if (layer.op == "linear")
    text += fmt::format("  adds KL  {:.3g}\n", layer.kl);
  if (!layer.second.empty()) {
    text += fmt::format(
        "  second   {}{}\n", layer.second,
        layer.margin_ns
            ? fmt::format(", worse by {}{}",
                          objective_text(objective, *layer.margin_ns),
                          layer.op == "segment" ? " at least" : "")
            : "");
  }
  if (!layer.reason.empty()) text += "  why      " + layer.reason + "\n";
  for (const std::string& refusal : layer.refusals) {
    text += "  refused  " + refusal + "\n";
  }
  return text;
}

const PlannedLayer* find_layer(const PlanFile& plan, const std::string& name) {
  for (const PlannedLayer& layer : plan.layers) {
    if (layer.name == name) return &layer;
  }
  return nullptr;
}

void compare_times(const char* what, const std::map<std::string, double>& a,
                   const std::map<std::string, double>& b,
                   std::vector<std::string>& lines) {
  for (const auto& [clock, ns] : a) {
    const auto other = b.find(clock);
    const double now = other == b.end() ? 0.0 : other->second;
    if (now == ns) continue;
    lines.push_back(fmt::format("{} ({} clock): {} -> {}", what, clock,
                                milliseconds(ns), milliseconds(now)));
  }
}

}  // namespace

Result<std::string> explain_layers(const PlanFile& plan,
                                   const std::string& pattern) {
  std::string text;
  for (const PlannedLayer& layer : plan.layers) {
    if (fnmatch(pattern.c_str(), layer.name.c_str(), 0) == 0) {
      text += explain(layer, plan.objective);
    }
  }
  if (!text.empty()) return text;
  return Status(
      TSR_NOT_FOUND,
      fmt::format("no layer {} in the plan; there is {}", pattern,
                  plan.layers.empty() ? "none" : plan.layers.back().name));
}

std::vector<std::string> compare_plans(const PlanFile& a, const PlanFile& b) {
  std::vector<std::string> lines;
  if (a.objective != b.objective) {
    lines.push_back(
        fmt::format("objective: {} -> {}", a.objective, b.objective));
  }
  if (a.model_fingerprint != b.model_fingerprint) {
    lines.push_back(fmt::format("model: {} -> {}", a.model_fingerprint,
                                b.model_fingerprint));
  }
  for (const auto& [name, fingerprint] : a.device_fingerprints) {
    const auto other = b.device_fingerprints.find(name);
    if (other == b.device_fingerprints.end()) {
      lines.push_back(fmt::format("device {}: gone", name));
    } else if (other->second != fingerprint) {
      lines.push_back(
          fmt::format("device {}: {} -> {}", name, fingerprint, other->second));
    }
  }
  for (const auto& [name, fingerprint] : b.device_fingerprints) {
    if (!a.device_fingerprints.contains(name)) {
      lines.push_back(fmt::format("device {}: new", name));
    }
  }
  compare_times("prefill", a.prefill_ns, b.prefill_ns, lines);
  compare_times("decode step", a.decode_ns, b.decode_ns, lines);
  if (a.kl_predicted != b.kl_predicted) {
    lines.push_back(fmt::format("KL predicted: {:.4g} -> {:.4g}",
                                a.kl_predicted, b.kl_predicted));
  }
  for (const PlannedLayer& layer : a.layers) {
    const PlannedLayer* other = find_layer(b, layer.name);
    if (other == nullptr) {
      lines.push_back(layer.name + ": gone");
    } else if (choice_text(layer) != choice_text(*other)) {
      lines.push_back(fmt::format("{}: {} -> {}", layer.name,
                                  choice_text(layer), choice_text(*other)));
    }
  }
  for (const PlannedLayer& layer : b.layers) {
    if (find_layer(a, layer.name) == nullptr) {
      lines.push_back(layer.name + ": new");
    }
  }
  return lines;
}

}  // namespace tessera::planner
