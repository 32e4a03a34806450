// SPDX-License-Identifier: Apache-2.0

#include "framework/planner/plan_file/plan_text.hpp"

#include <fmt/format.h>
#include <fnmatch.h>

#include <algorithm>

namespace tessera::planner {
namespace {

std::string milliseconds(double ns) {
  return fmt::format("{:.4f} ms", ns / 1e6);
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

std::string explain(const PlannedLayer& layer) {
  std::string text = layer.name + "\n";
  text += "  prefill  " + parts_text(layer.phases[kPrefill]) + "\n";
  text += "  decode   " + parts_text(layer.phases[kDecode]) + " a step\n";
  if (layer.op == "linear")
    text += fmt::format("  adds KL  {:.3g}\n", layer.kl);
  if (!layer.second.empty()) {
    text += fmt::format(
        "  second   {}{}\n", layer.second,
        layer.margin_ns ? fmt::format(", worse by {:.4g}{}", *layer.margin_ns,
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

// A hue for each precision, the same in every picture: from its name.
std::string colour_of(const std::string& scheme) {
  uint32_t hash = 2166136261U;
  for (const char c : scheme) {
    hash = (hash ^ static_cast<unsigned char>(c)) * 16777619U;
  }
  return fmt::format("hsl({},60%,72%)", hash % 360);
}

std::string escape(const std::string& text) {
  std::string result;
  for (const char c : text) {
    if (c == '<') {
      result += "&lt;";
    } else if (c == '&') {
      result += "&amp;";
    } else if (c == '"') {
      result += "&quot;";
    } else {
      result += c;
    }
  }
  return result;
}

constexpr int kLabelWidth = 170;
constexpr int kColumnWidth = 180;
constexpr int kRowHeight = 22;

// Draws a plan row by row.
class Picture {
 public:
  explicit Picture(const PlanFile& plan) : plan_(plan) {
    for (const auto& [name, fingerprint] : plan.device_fingerprints) {
      devices_.push_back(name);
    }
  }

  std::string draw() {
    int row = 2;
    for (const PlannedLayer& segment : plan_.layers) {
      if (segment.op == "segment") draw_segment(segment, row++);
    }
    draw_legend(row + 1);
    const int width =
        kLabelWidth + kColumnWidth * static_cast<int>(devices_.size()) + 20;
    return fmt::format(
               "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{}\" "
               "height=\"{}\" font-family=\"sans-serif\" font-size=\"11\">\n",
               width, (row + 3) * kRowHeight) +
           header() + body_ + "</svg>\n";
  }

 private:
  static std::string label(int x, int row, const std::string& text) {
    return fmt::format("<text x=\"{}\" y=\"{}\">{}</text>\n", x,
                       row * kRowHeight + 15, escape(text));
  }

  std::string header() const {
    std::string text = label(
        4, 0,
        fmt::format("{} {:.6g}, at most {:.3g} % from the best plan",
                    plan_.objective, plan_.objective_value, 100 * plan_.gap));
    for (size_t d = 0; d < devices_.size(); ++d) {
      text += label(kLabelWidth + kColumnWidth * static_cast<int>(d) + 4, 1,
                    devices_[d]);
    }
    return text;
  }

  void draw_segment(const PlannedLayer& segment, int row) {
    body_ += label(4, row, segment.name);
    for (const uint32_t phase : {kPrefill, kDecode}) {
      const std::string& device = segment.phases[phase].front().device;
      if (phase == kDecode &&
          device == segment.phases[kPrefill].front().device) {
        continue;
      }
      const auto column = std::find(devices_.begin(), devices_.end(), device);
      if (column == devices_.end()) continue;
      draw_cell(segment, phase,
                kLabelWidth +
                    kColumnWidth * static_cast<int>(column - devices_.begin()),
                row);
    }
  }

  // One stripe for each linear.
  void draw_cell(const PlannedLayer& segment, uint32_t phase, int x, int row) {
    std::vector<const PlannedPart*> parts;
    double ns = segment.phases[phase].front().predicted_ns;
    for (const PlannedLayer& layer : plan_.layers) {
      if (layer.op != "linear" || layer.segment != segment.name) continue;
      parts.push_back(&layer.phases[phase].front());
      ns += parts.back()->predicted_ns;
      schemes_.push_back(parts.back()->scheme);
    }
    if (parts.empty()) parts.push_back(&segment.phases[phase].front());
    const int width = (kColumnWidth - 8) / static_cast<int>(parts.size());
    for (size_t i = 0; i < parts.size(); ++i) {
      body_ += fmt::format(
          "<rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" fill=\"{}\">"
          "<title>{}</title></rect>\n",
          x + static_cast<int>(i) * width, row * kRowHeight + 2, width,
          kRowHeight - 4,
          parts[i]->scheme.empty() ? "#ddd" : colour_of(parts[i]->scheme),
          escape(parts[i]->scheme));
    }
    body_ += label(x + 4, row, milliseconds(ns));
  }

  void draw_legend(int row) {
    std::sort(schemes_.begin(), schemes_.end());
    schemes_.erase(std::unique(schemes_.begin(), schemes_.end()),
                   schemes_.end());
    int x = 4;
    for (const std::string& scheme : schemes_) {
      body_ += fmt::format(
          "<rect x=\"{}\" y=\"{}\" width=\"14\" height=\"14\" fill=\"{}\"/>\n",
          x, row * kRowHeight + 4, colour_of(scheme));
      body_ += label(x + 18, row, scheme);
      x += 30 + 8 * static_cast<int>(scheme.size());
    }
  }

  const PlanFile& plan_;
  std::vector<std::string> devices_;
  std::vector<std::string> schemes_;
  std::string body_;
};

}  // namespace

Result<std::string> explain_layers(const PlanFile& plan,
                                   const std::string& pattern) {
  std::string text;
  for (const PlannedLayer& layer : plan.layers) {
    if (fnmatch(pattern.c_str(), layer.name.c_str(), 0) == 0) {
      text += explain(layer);
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

std::string draw_plan(const PlanFile& plan) { return Picture(plan).draw(); }

}  // namespace tessera::planner
