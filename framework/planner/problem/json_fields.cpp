// SPDX-License-Identifier: Apache-2.0

#include "framework/planner/problem/json_fields.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

namespace tessera::planner {

Result<Json> parse_object(const std::string& text, const std::string& what) {
  Json json = Json::parse(text, nullptr, false);
  if (json.is_discarded()) {
    return Status(TSR_INVALID_ARGUMENT, what + ": not JSON");
  }
  if (!json.is_object()) {
    return Status(TSR_INVALID_ARGUMENT, what + ": not a JSON object");
  }
  return json;
}

JsonFields::JsonFields(const Json& object, std::string where)
    : object_(object), where_(std::move(where)) {
  if (!object.is_object()) {
    status_ = Status(TSR_INVALID_ARGUMENT, where_ + ": not an object");
  }
}

void JsonFields::fail(const std::string& key, const std::string& what) {
  if (!status_.ok()) return;
  status_ =
      Status(TSR_INVALID_ARGUMENT, fmt::format("{}: {} {}", where_, key, what));
}

const Json* JsonFields::find(const char* key, bool required) {
  if (!status_.ok()) return nullptr;
  const auto found = object_.find(key);
  if (found != object_.end()) return &*found;
  if (required) fail(key, "is missing");
  return nullptr;
}

bool JsonFields::has(const char* key) const {
  return status_.ok() && object_.contains(key);
}

std::string JsonFields::text(const char* key) {
  const Json* value = find(key, true);
  if (value == nullptr) return "";
  if (!value->is_string()) {
    fail(key, "is not text");
    return "";
  }
  std::string text = value->get<std::string>();
  // Terminals obey them, and no SVG may have them.
  const bool is_plain = std::none_of(text.begin(), text.end(), [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return (byte < 0x20 && c != '\n' && c != '\t') || byte == 0x7f;
  });
  if (!is_plain) fail(key, "has control characters");
  return text;
}

std::string JsonFields::text_or(const char* key, const std::string& otherwise) {
  return has(key) ? text(key) : otherwise;
}

uint64_t JsonFields::count(const char* key, uint64_t max) {
  const Json* value = find(key, true);
  if (value == nullptr) return 0;
  if (!value->is_number_unsigned() || value->get<uint64_t>() > max) {
    fail(key, fmt::format("is not a whole number from 0 to {}", max));
    return 0;
  }
  return value->get<uint64_t>();
}

uint64_t JsonFields::count_or(const char* key, uint64_t otherwise) {
  return has(key) ? count(key) : otherwise;
}

double JsonFields::amount(const char* key) {
  const Json* value = find(key, true);
  if (value == nullptr) return 0.0;
  const double number = value->is_number() ? value->get<double>() : -1.0;
  if (!std::isfinite(number) || number < 0.0) {
    fail(key, "is not a number of at least 0");
    return 0.0;
  }
  return number;
}

double JsonFields::amount_or(const char* key, double otherwise) {
  return has(key) ? amount(key) : otherwise;
}

bool JsonFields::flag_or(const char* key, bool otherwise) {
  const Json* value = find(key, false);
  if (value == nullptr) return otherwise;
  if (!value->is_boolean()) {
    fail(key, "is not true or false");
    return otherwise;
  }
  return value->get<bool>();
}

const std::vector<Json>& JsonFields::list(const char* key) {
  static const std::vector<Json> kEmpty;
  const Json* value = find(key, false);
  if (value == nullptr) return kEmpty;
  if (!value->is_array()) {
    fail(key, "is not a list");
    return kEmpty;
  }
  return value->get_ref<const Json::array_t&>();
}

const Json& JsonFields::object(const char* key) {
  static const Json kEmpty = Json::object();
  const Json* value = find(key, false);
  if (value == nullptr) return kEmpty;
  if (!value->is_object()) {
    fail(key, "is not an object");
    return kEmpty;
  }
  return *value;
}

const Json& JsonFields::value(const char* key) {
  static const Json kNothing;
  const Json* value = find(key, false);
  return value == nullptr ? kNothing : *value;
}

void JsonFields::adopt(const Status& status) {
  if (status_.ok()) status_ = status;
}

std::string JsonFields::where(const char* key, size_t index) const {
  return fmt::format("{}: {}[{}]", where_, key, index);
}

}  // namespace tessera::planner
