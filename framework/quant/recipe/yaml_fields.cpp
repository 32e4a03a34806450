// SPDX-License-Identifier: Apache-2.0

#include "framework/quant/recipe/yaml_fields.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <numeric>
#include <optional>

namespace tessera::quant {
namespace {

// Longer texts are cut in messages.
constexpr size_t kMaxShown = 60;

std::string shown(std::string_view text) {
  if (text.size() <= kMaxShown) return std::string(text);
  return std::string(text.substr(0, kMaxShown)) + "...";
}

std::string value_of(const YamlNode& node) {
  switch (node.kind) {
    case YamlNode::Kind::kNull:
      return "without a value";
    case YamlNode::Kind::kSequence:
      return "(a list)";
    case YamlNode::Kind::kMap:
      return "(a map)";
    case YamlNode::Kind::kScalar:
      break;
  }
  return node.quoted ? "\"" + shown(node.text) + "\"" : shown(node.text);
}

bool is_plain(const YamlNode& node) {
  return node.kind == YamlNode::Kind::kScalar && !node.quoted;
}

Status wrong_value(const YamlNode& node, const std::string& name,
                   const std::string& expected) {
  return {TSR_INVALID_ARGUMENT,
          fmt::format("line {}: {} {} is not {}", node.line, name,
                      value_of(node), expected)};
}

std::optional<double> number_in(const YamlNode& node) {
  if (!is_plain(node)) return std::nullopt;
  double value = 0.0;
  const char* end = node.text.data() + node.text.size();
  const auto [stop, code] = std::from_chars(node.text.data(), end, value);
  if (code != std::errc() || stop != end) return std::nullopt;
  return value;
}

// The insertions, deletions and replacements that lead from one to the other.
size_t edit_distance(std::string_view from, std::string_view to) {
  std::vector<size_t> row(to.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 0; i < from.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i + 1;
    for (size_t j = 0; j < to.size(); ++j) {
      const size_t replaced = diagonal + (from[i] == to[j] ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({replaced, row[j] + 1, row[j + 1] + 1});
    }
  }
  return row.back();
}

}  // namespace

Status yaml_error(const YamlNode& node, const std::string& what,
                  const std::string& reason) {
  return {TSR_INVALID_ARGUMENT,
          fmt::format("line {}: {}: {}", node.line, what, reason)};
}

Result<std::string> yaml_text(const YamlNode& node, const std::string& name) {
  if (node.kind != YamlNode::Kind::kScalar) {
    return wrong_value(node, name, "a text");
  }
  return node.text;
}

Result<bool> yaml_bool(const YamlNode& node, const std::string& name) {
  if (is_plain(node)) {
    for (const char* yes : {"true", "True", "TRUE"}) {
      if (node.text == yes) return true;
    }
    for (const char* no : {"false", "False", "FALSE"}) {
      if (node.text == no) return false;
    }
  }
  return wrong_value(node, name, "true or false");
}

Result<double> yaml_number(const YamlNode& node, const std::string& name,
                           const YamlRange& range) {
  const std::optional<double> value = number_in(node);
  // NaN is in no range.
  if (!value || !(*value >= range.min && *value <= range.max)) {
    return wrong_value(
        node, name,
        fmt::format("a number from {} to {}", range.min, range.max));
  }
  return *value;
}

Result<uint32_t> yaml_count(const YamlNode& node, const std::string& name,
                            const YamlRange& range) {
  const std::optional<double> value = number_in(node);
  if (!value || !(*value >= range.min && *value <= range.max) ||
      *value != std::floor(*value)) {
    return wrong_value(node, name,
                       fmt::format("a whole number from {:.0f} to {:.0f}",
                                   range.min, range.max));
  }
  return static_cast<uint32_t>(*value);
}

Result<std::vector<std::string>> yaml_texts(const YamlNode& node,
                                            const std::string& name) {
  std::vector<std::string> texts;
  if (node.kind == YamlNode::Kind::kNull) return texts;
  if (node.kind != YamlNode::Kind::kSequence) {
    return wrong_value(node, name, "a list of texts");
  }
  for (const YamlNode& item : node.items) {
    TSR_ASSIGN_OR_RETURN(std::string text, yaml_text(item, name));
    texts.push_back(std::move(text));
  }
  return texts;
}

const YamlNode* find_field(const YamlNode& map, std::string_view key) {
  if (map.kind != YamlNode::Kind::kMap) return nullptr;
  for (const YamlNode& item : map.items) {
    if (item.key == key) return &item;
  }
  return nullptr;
}

Result<YamlFields> YamlFields::open(const YamlNode& node, std::string name) {
  if (node.kind != YamlNode::Kind::kMap && node.kind != YamlNode::Kind::kNull) {
    return wrong_value(node, name.empty() ? "the file" : name, "a map");
  }
  return YamlFields(node, std::move(name));
}

const YamlNode* YamlFields::take(std::string_view key) {
  known_.emplace_back(key);
  return find_field(*node_, key);
}

Status YamlFields::read(std::string_view key, bool* value) {
  const YamlNode* field = take(key);
  if (field == nullptr) return {};
  TSR_ASSIGN_OR_RETURN(*value, yaml_bool(*field, name_of(key)));
  return {};
}

Status YamlFields::read(std::string_view key, std::string* value) {
  const YamlNode* field = take(key);
  if (field == nullptr) return {};
  TSR_ASSIGN_OR_RETURN(*value, yaml_text(*field, name_of(key)));
  return {};
}

Status YamlFields::read(std::string_view key, std::vector<std::string>* value) {
  const YamlNode* field = take(key);
  if (field == nullptr) return {};
  TSR_ASSIGN_OR_RETURN(*value, yaml_texts(*field, name_of(key)));
  return {};
}

Status YamlFields::read(std::string_view key, const YamlRange& range,
                        double* value) {
  const YamlNode* field = take(key);
  if (field == nullptr) return {};
  TSR_ASSIGN_OR_RETURN(*value, yaml_number(*field, name_of(key), range));
  return {};
}

Status YamlFields::read(std::string_view key, const YamlRange& range,
                        uint32_t* value) {
  const YamlNode* field = take(key);
  if (field == nullptr) return {};
  TSR_ASSIGN_OR_RETURN(*value, yaml_count(*field, name_of(key), range));
  return {};
}

Status YamlFields::finish() const {
  for (const YamlNode& item : node_->items) {
    if (std::find(known_.begin(), known_.end(), item.key) != known_.end()) {
      continue;
    }
    return {TSR_INVALID_ARGUMENT,
            fmt::format("line {}: unknown key {}, the nearest is {}", item.line,
                        name_of(shown(item.key)),
                        nearest_name(shown(item.key), known_))};
  }
  return {};
}

std::string YamlFields::name_of(std::string_view key) const {
  return name_.empty() ? std::string(key) : fmt::format("{}.{}", name_, key);
}

std::string nearest_name(std::string_view name,
                         const std::vector<std::string>& candidates) {
  const auto nearest =
      std::min_element(candidates.begin(), candidates.end(),
                       [name](const std::string& a, const std::string& b) {
                         return edit_distance(name, a) < edit_distance(name, b);
                       });
  return nearest == candidates.end() ? "" : *nearest;
}

}  // namespace tessera::quant
