// SPDX-License-Identifier: Apache-2.0
//
// The precedence of scheme rules.

#include "framework/quant/fallback/fallback.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <numeric>
#include <set>

#include "framework/quant/fallback/glob.hpp"

namespace tessera::quant {
namespace {

// Above this share upstream's guide calls for another algorithm instead.
constexpr uint32_t kMaxFallbackPercent = 20;

Status check_layers(const std::vector<LayerSensitivity>& layers) {
  std::set<std::string_view> names;
  for (const LayerSensitivity& layer : layers) {
    if (std::isnan(layer.metric)) {
      return Status(TSR_INVALID_ARGUMENT,
                    "layer " + layer.name + ": the metric is NaN");
    }
    if (!names.insert(layer.name).second) {
      return Status(TSR_INVALID_ARGUMENT,
                    "layer " + layer.name + " is named twice");
    }
  }
  return {};
}

// Indices of layers by descending metric.
std::vector<uint32_t> ranking(const std::vector<LayerSensitivity>& layers) {
  std::vector<uint32_t> order(layers.size());
  std::iota(order.begin(), order.end(), 0U);
  std::stable_sort(order.begin(), order.end(), [&](uint32_t a, uint32_t b) {
    return layers[a].metric > layers[b].metric;
  });
  return order;
}

const std::string* first_match(const std::vector<std::string>& patterns,
                               std::string_view name) {
  for (const std::string& pattern : patterns) {
    if (matches_glob(pattern, name)) return &pattern;
  }
  return nullptr;
}

// Rules 2 to 4.
void choose_by_name(const SchemeRules& rules, LayerChoice* layer) {
  for (const bool want_glob : {false, true}) {
    for (const auto& [pattern, scheme] : rules.schemes) {
      if (is_glob(pattern) != want_glob) continue;
      if (!matches_glob(pattern, layer->name)) continue;
      layer->scheme = scheme;
      layer->rule = pattern;
      layer->reason =
          want_glob ? SchemeReason::kWildcard : SchemeReason::kExplicit;
      return;
    }
  }
  layer->scheme = rules.default_scheme;
}

void warn_of_unmatched(const SchemeRules& rules, SchemeChoices* choices) {
  const auto warn = [&](std::string_view list, const std::string& pattern) {
    const bool matches = std::any_of(
        choices->layers.begin(), choices->layers.end(),
        [&](const LayerChoice& l) { return matches_glob(pattern, l.name); });
    if (matches) return;
    choices->warnings.push_back(std::string(list) + ": no layer matches \"" +
                                pattern + "\"");
  };
  for (const std::string& pattern : rules.disable_names) {
    warn("disable_names", pattern);
  }
  for (const auto& [pattern, scheme] : rules.schemes) warn("schemes", pattern);
}

}  // namespace

Result<SchemeChoices> choose_schemes(
    const SchemeRules& rules, const std::vector<LayerSensitivity>& layers) {
  TSR_RETURN_IF_ERROR(check_layers(layers));
  SchemeChoices choices;
  for (const LayerSensitivity& layer : layers) {
    LayerChoice choice;
    choice.name = layer.name;
    choice.metric = layer.metric;
    choose_by_name(rules, &choice);
    if (const auto* pattern = first_match(rules.disable_names, layer.name)) {
      choice.scheme = rules.fallback_scheme;
      choice.reason = SchemeReason::kDisableName;
      choice.rule = *pattern;
      ++choices.num_fallbacks;
    }
    choices.layers.push_back(std::move(choice));
  }
  uint32_t rank = 0;
  uint32_t left = rules.disable_level;
  for (const uint32_t i : ranking(layers)) {
    LayerChoice& choice = choices.layers[i];
    choice.rank = rank++;
    if (left == 0 || choice.reason == SchemeReason::kDisableName) continue;
    --left;
    choice.scheme = rules.fallback_scheme;
    choice.reason = SchemeReason::kDisableLevel;
    choice.rule.clear();
    ++choices.num_fallbacks;
  }
  if (uint64_t{choices.num_fallbacks} * 100 >
      uint64_t{kMaxFallbackPercent} * layers.size()) {
    choices.warnings.push_back(std::to_string(choices.num_fallbacks) + " of " +
                               std::to_string(layers.size()) +
                               " layers fall back to " + rules.fallback_scheme +
                               ", more than " +
                               std::to_string(kMaxFallbackPercent) + " %");
  }
  warn_of_unmatched(rules, &choices);
  return choices;
}

std::vector<std::string> rank_layers(
    const std::vector<LayerSensitivity>& layers) {
  std::vector<std::string> names;
  for (const uint32_t i : ranking(layers)) names.push_back(layers[i].name);
  return names;
}

Result<uint32_t> parse_disable_level(std::string_view text) {
  uint32_t level = 0;
  if (text.size() >= 2 && text.front() == 'L') {
    const char* end = text.data() + text.size();
    const auto [stop, code] = std::from_chars(text.data() + 1, end, level);
    if (code == std::errc() && stop == end) return level;
  }
  return Status(TSR_INVALID_ARGUMENT, "disable_level \"" + std::string(text) +
                                          "\" is not L0, L1, L2, ...");
}

std::string_view scheme_reason_name(SchemeReason reason) {
  switch (reason) {
    case SchemeReason::kDisableName:
      return "disable_names";
    case SchemeReason::kDisableLevel:
      return "disable_level";
    case SchemeReason::kExplicit:
      return "explicit";
    case SchemeReason::kWildcard:
      return "wildcard";
    default:
      return "default";
  }
}

}  // namespace tessera::quant
