// SPDX-License-Identifier: Apache-2.0
//
// The fields of a YAML map, read by name and type, with errors that name the
// line.

#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "framework/base/status.hpp"
#include "framework/quant/recipe/yaml_tree.hpp"

namespace tessera::quant {

struct YamlRange {
  double min;
  double max;
};

// "line 7: weights.damping 3 is not in 0 to 1".
Status yaml_error(const YamlNode& node, const std::string& what,
                  const std::string& reason);

// The value of that name as a scalar's text, a number and so on.  `name` is how
// errors call it.
// Errors: INVALID_ARGUMENT, naming line and value, for anything else.
Result<std::string> yaml_text(const YamlNode& node, const std::string& name);
Result<bool> yaml_bool(const YamlNode& node, const std::string& name);
Result<double> yaml_number(const YamlNode& node, const std::string& name,
                           const YamlRange& range);
Result<uint32_t> yaml_count(const YamlNode& node, const std::string& name,
                            const YamlRange& range);
// Of a sequence; none if it has no value.
Result<std::vector<std::string>> yaml_texts(const YamlNode& node,
                                            const std::string& name);

// The item of that key; null if the map has none or is no map.
const YamlNode* find_field(const YamlNode& map, std::string_view key);

// Reads a map's fields one after the other, then refuses what nothing asked
// for.  A field that is not there leaves its variable as it was.
class YamlFields {
 public:
  // A map without a value has no fields.  `name` is "" for the whole file.
  // Errors: INVALID_ARGUMENT if it is something else than a map.
  static Result<YamlFields> open(const YamlNode& node, std::string name);

  // The field, or null.  From then on the key is known.
  const YamlNode* take(std::string_view key);

  Status read(std::string_view key, bool* value);
  Status read(std::string_view key, std::string* value);
  Status read(std::string_view key, std::vector<std::string>* value);
  Status read(std::string_view key, const YamlRange& range, double* value);
  Status read(std::string_view key, const YamlRange& range, uint32_t* value);

  // By a function as find_weight_method, whose error is annotated.
  template <typename T>
  Status read(std::string_view key, Result<T> (*find)(std::string_view),
              T* value) {
    const YamlNode* field = take(key);
    if (field == nullptr) return {};
    TSR_ASSIGN_OR_RETURN(const std::string text,
                         yaml_text(*field, name_of(key)));
    Result<T> found = find(text);
    if (!found.ok()) {
      return yaml_error(*field, name_of(key), found.status().message());
    }
    *value = *found;
    return {};
  }

  // Errors: INVALID_ARGUMENT, naming line, key and the nearest known key.
  Status finish() const;

  // The keys that were asked for.
  const std::vector<std::string>& known() const { return known_; }

  // "weights.damping" for "damping".
  std::string name_of(std::string_view key) const;

 private:
  YamlFields(const YamlNode& node, std::string name)
      : node_(&node), name_(std::move(name)) {}

  const YamlNode* node_;
  std::string name_;
  std::vector<std::string> known_;
};

// The candidate of least edit distance; the first of several.  "" for none.
std::string nearest_name(std::string_view name,
                         const std::vector<std::string>& candidates);

}  // namespace tessera::quant
