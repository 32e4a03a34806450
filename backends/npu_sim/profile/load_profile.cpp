// SPDX-License-Identifier: Apache-2.0
//
// Profiles from YAML: every key checked against the table of fields.

#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <iomanip>
#include <limits>
#include <sstream>
#include <utility>

#include "backends/npu_sim/profile/fields.hpp"
#include "backends/npu_sim/profile/nearest_name.hpp"
#include "backends/npu_sim/profile/profile.hpp"
#include "tessera/error.hpp"

namespace tessera::npu {
namespace {

constexpr std::pair<std::string_view, std::string_view> kAliases[] = {
    {"310b", "310b1"}, {"910b", "910b1"}};
constexpr int kMaxBases = 4;
constexpr size_t kMaxFileBytes = 1 << 20;

[[noreturn]] void refuse(const std::string& origin, const std::string& why) {
  throw sdk::Error(TSR_INVALID_ARGUMENT, "profile " + origin + ": " + why);
}

std::string text_of(double value) {
  std::ostringstream out;
  out << std::setprecision(12) << value;
  return out.str();
}

const Field* find_field(std::string_view key) {
  for (const Field& field : profile_fields()) {
    if (field.key == key) return &field;
  }
  return nullptr;
}

std::vector<std::string> known_keys() {
  std::vector<std::string> keys = {"name", "title", "based_on",
                                   "energy.process"};
  for (const Field& field : profile_fields()) keys.emplace_back(field.key);
  return keys;
}

double number_of(const YAML::Node& node, const Field& field,
                 const std::string& origin) {
  const std::string where = std::string(field.key);
  double value = 0;
  bool flag = false;
  if (!node.IsScalar()) refuse(origin, where + ": expected one value");
  if (field.unit == "bool") {
    if (!YAML::convert<bool>::decode(node, flag)) {
      refuse(origin, where + ": '" + node.Scalar() + "' is not true or false");
    }
    return flag ? 1 : 0;
  }
  if (!YAML::convert<double>::decode(node, value) || !std::isfinite(value)) {
    refuse(origin, where + ": '" + node.Scalar() + "' is not a number");
  }
  if (value < field.min || value > field.max) {
    refuse(origin, where + ": " + node.Scalar() + " is outside " +
                       text_of(field.min) + " to " + text_of(field.max));
  }
  return value;
}

void set_range(const YAML::Node& node, const Field& field,
               const std::string& origin, Energy::Range& range) {
  const std::string where = std::string(field.key);
  if (!node.IsSequence() || node.size() != range.size()) {
    refuse(origin, where + ": expected [low, mid, high]");
  }
  for (size_t i = 0; i < range.size(); ++i) {
    range[i] = number_of(node[i], field, origin);
  }
  if (!std::is_sorted(range.begin(), range.end())) {
    refuse(origin, where + ": low, mid, high must not fall");
  }
}

void set_number(const Field& field, double value, const std::string& origin,
                Profile& profile) {
  const Place place = field.place(profile);
  if (auto* const* real = std::get_if<double*>(&place)) {
    **real = value;
  } else if (auto* const* flag = std::get_if<bool*>(&place)) {
    **flag = value != 0;
  } else if (auto* const* integer = std::get_if<int64_t*>(&place)) {
    if (value != std::floor(value)) {
      refuse(origin, std::string(field.key) + ": " + text_of(value) +
                         " is not a whole number");
    }
    **integer = static_cast<int64_t>(value);
  } else {
    refuse(origin, std::string(field.key) + ": takes [low, mid, high]");
  }
}

void note(Parameter parameter, Profile& profile) {
  for (Parameter& known : profile.parameters) {
    if (known.key == parameter.key) {
      known = std::move(parameter);
      return;
    }
  }
  profile.parameters.push_back(std::move(parameter));
}

void set_field(const Field& field, const YAML::Node& entry,
               const std::string& origin, Profile& profile) {
  const std::string key(field.key);
  if (!entry.IsMap() || !entry["value"] || !entry["source"]) {
    refuse(origin, key + ": expected {value: ..., source: ...}");
  }
  for (const auto& part : entry) {
    const std::string name = part.first.Scalar();
    if (name != "value" && name != "source") {
      refuse(origin, std::string(key)
                         .append(": unknown entry '")
                         .append(name)
                         .append("'; value and source are known"));
    }
  }
  const YAML::Node value = entry["value"];
  const YAML::Node source = entry["source"];
  if (!source.IsScalar() || source.Scalar().empty()) {
    refuse(origin, key +
                       ": source is empty; write where the value is from, "
                       "or 'assumed'");
  }
  const Place place = field.place(profile);
  std::string shown = value.IsScalar() ? value.Scalar() : "";
  if (auto* const* range = std::get_if<Energy::Range*>(&place)) {
    set_range(value, field, origin, **range);
    shown = text_of((**range)[0]);
    for (const size_t i : {1U, 2U})
      shown.append(" ").append(text_of((**range)[i]));
  } else {
    set_number(field, number_of(value, field, origin), origin, profile);
  }
  note({key, shown, std::string(field.unit), source.Scalar(),
        source.Scalar().rfind("assumed", 0) == 0},
       profile);
}

void set_entry(const std::string& key, const YAML::Node& entry,
               const std::string& origin, Profile& profile) {
  std::string* text = key == "name"             ? &profile.name
                      : key == "title"          ? &profile.title
                      : key == "energy.process" ? &profile.energy.process
                                                : nullptr;
  if (text != nullptr) {
    if (!entry.IsScalar()) refuse(origin, key + ": expected text");
    *text = entry.Scalar();
    return;
  }
  const Field* field = find_field(key);
  if (field == nullptr) {
    refuse(origin, "unknown parameter '" + key + "'; the nearest is '" +
                       nearest_name(key, known_keys()) + "'");
  }
  set_field(*field, entry, origin, profile);
}

void check_relations(const Profile& profile, const std::string& origin) {
  for (const Field& field : profile_fields()) {
    const bool given = std::any_of(
        profile.parameters.begin(), profile.parameters.end(),
        [&](const Parameter& known) { return known.key == field.key; });
    if (!given)
      refuse(origin, "missing parameter '" + std::string(field.key) + "'");
  }
  if (profile.name.empty()) refuse(origin, "missing parameter 'name'");
  if (profile.exit.fixpipe && profile.exit.fixpipe_elements <= 0) {
    refuse(origin, "exit.fixpipe_elements: must be above 0 with exit.fixpipe");
  }
  if (!profile.exit.fixpipe && profile.exit.l0c_to_ub_rate <= 0) {
    refuse(origin, "exit.l0c_to_ub_rate: must be above 0 without exit.fixpipe");
  }
  if (!profile.exit.fixpipe && !profile.unified_cores) {
    refuse(origin, "unified_cores: must be true without exit.fixpipe");
  }
  if (profile.unified_cores && profile.vector_cores < profile.cube_cores) {
    refuse(origin, "vector_cores: " + std::to_string(profile.vector_cores) +
                       " is less than cube_cores " +
                       std::to_string(profile.cube_cores) +
                       ", but the cores are unified");
  }
  if (!profile.unified_cores &&
      profile.vector_cores % profile.cube_cores != 0) {
    refuse(origin, "vector_cores: " + std::to_string(profile.vector_cores) +
                       " is not a multiple of cube_cores " +
                       std::to_string(profile.cube_cores));
  }
  if (profile.unzip.engines > 0 && profile.assumptions.unzip_rate <= 0) {
    refuse(origin,
           "assumptions.unzip_rate: must be above 0 with unzip.engines");
  }
}

void apply(std::string_view text, const std::string& origin, int depth,
           Profile& profile) {
  if (text.size() > kMaxFileBytes) refuse(origin, "larger than 1 MiB");
  YAML::Node root;
  try {
    root = YAML::Load(std::string(text));
  } catch (const YAML::Exception& error) {
    refuse(origin, std::string("not YAML: ") + error.what());
  }
  if (!root.IsMap())
    refuse(origin, "expected parameters as `key: {value: ...}`");
  if (const YAML::Node base = root["based_on"]) {
    if (depth >= kMaxBases) refuse(origin, "based_on: more than 4 levels");
    if (!base.IsScalar()) refuse(origin, "based_on: expected a name");
    const std::string_view shipped = builtin_profile_text(base.Scalar());
    if (shipped.empty()) {
      refuse(origin, "based_on: no profile '" + base.Scalar() +
                         "'; the nearest is '" +
                         nearest_name(base.Scalar(), builtin_profiles()) + "'");
    }
    apply(shipped, base.Scalar(), depth + 1, profile);
  }
  std::vector<std::string> seen;
  for (const auto& part : root) {
    if (!part.first.IsScalar()) refuse(origin, "a key is not text");
    const std::string key = part.first.Scalar();
    if (std::find(seen.begin(), seen.end(), key) != seen.end()) {
      refuse(origin, "parameter '" + key + "' is given twice");
    }
    seen.push_back(key);
    if (key != "based_on") set_entry(key, part.second, origin, profile);
  }
}

std::string read_profile(const std::string& path) {
  std::error_code code;
  std::ifstream file;
  if (std::filesystem::is_regular_file(path, code)) {
    file.open(path, std::ios::binary);
  }
  if (!file.is_open()) {
    throw sdk::Error(TSR_NOT_FOUND, "profile " + path + ": cannot be read");
  }
  std::string text(kMaxFileBytes + 1, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<size_t>(file.gcount()));
  return text;
}

bool is_path(const std::string& name) {
  const std::string ending = ".yaml";
  return name.find('/') != std::string::npos ||
         (name.size() > ending.size() &&
          name.compare(name.size() - ending.size(), ending.size(), ending) ==
              0);
}

}  // namespace

Profile parse_profile(std::string_view text, const std::string& origin) {
  Profile profile;
  apply(text, origin, 0, profile);
  check_relations(profile, origin);
  return profile;
}

Profile load_profile(const std::string& name_or_path) {
  if (is_path(name_or_path)) {
    return parse_profile(read_profile(name_or_path), name_or_path);
  }
  std::string_view name = name_or_path;
  for (const auto& [alias, target] : kAliases) {
    if (name == alias) name = target;
  }
  const std::string_view text = builtin_profile_text(name);
  if (text.empty()) {
    std::vector<std::string> names = builtin_profiles();
    for (const auto& [alias, target] : kAliases) names.emplace_back(alias);
    throw sdk::Error(TSR_NOT_FOUND,
                     "profile '" + name_or_path +
                         "' is not known; the nearest is '" +
                         nearest_name(name, names) +
                         "'; a path to a .yaml file is taken too");
  }
  return parse_profile(text, std::string(name));
}

Profile with_parameters(Profile profile,
                        const std::map<std::string, double>& values) {
  for (const auto& [key, value] : values) {
    const Field* field = find_field(key);
    if (field == nullptr) {
      refuse(profile.name, "unknown parameter '" + key + "'; the nearest is '" +
                               nearest_name(key, known_keys()) + "'");
    }
    YAML::Node entry;
    entry["value"] = text_of(value);
    entry["source"] = "assumed: set by the caller";
    set_field(*field, entry, profile.name, profile);
  }
  check_relations(profile, profile.name);
  return profile;
}

}  // namespace tessera::npu
