// SPDX-License-Identifier: Apache-2.0

#include "framework/model/json_object.hpp"

#include <fmt/format.h>

#include <limits>
#include <utility>

namespace tessera {
namespace {

using nlohmann::json;

std::string expected(const json& value, const char* type) {
  return fmt::format("is {}, expected {}", value.type_name(), type);
}

}  // namespace

Result<JsonObject> JsonObject::from(const json& value, std::string where) {
  if (!value.is_object()) {
    return Status(TSR_INVALID_ARGUMENT,
                  where + ": " + expected(value, "an object"));
  }
  return JsonObject(value, std::move(where));
}

const json* JsonObject::find(const std::string& key) const {
  const auto it = value_->find(key);
  return it == value_->end() || it->is_null() ? nullptr : &*it;
}

bool JsonObject::contains(const std::string& key) const {
  return value_->find(key) != value_->end();
}

Status JsonObject::error(const std::string& key,
                         const std::string& problem) const {
  return Status(TSR_INVALID_ARGUMENT,
                fmt::format("{}: {} {}", where_, key, problem));
}

Result<int64_t> JsonObject::integer(const std::string& key, Bounds bounds,
                                    std::optional<int64_t> fallback) const {
  const json* value = find(key);
  if (value == nullptr && fallback) return *fallback;
  if (value == nullptr) return error(key, "is missing");
  if (!value->is_number_integer()) {
    return error(key, expected(*value, "an integer"));
  }
  const bool is_huge =
      value->is_number_unsigned() &&
      value->get<uint64_t>() >
          static_cast<uint64_t>(std::numeric_limits<int64_t>::max());
  const int64_t number =
      is_huge ? std::numeric_limits<int64_t>::max() : value->get<int64_t>();
  if (is_huge || number < bounds.min || number > bounds.max) {
    return error(key, fmt::format("is {}, expected {} to {}", value->dump(),
                                  bounds.min, bounds.max));
  }
  return number;
}

Result<double> JsonObject::number(const std::string& key,
                                  std::optional<double> fallback) const {
  const json* value = find(key);
  if (value == nullptr && fallback) return *fallback;
  if (value == nullptr) return error(key, "is missing");
  if (!value->is_number()) return error(key, expected(*value, "a number"));
  return value->get<double>();
}

Result<bool> JsonObject::boolean(const std::string& key,
                                 std::optional<bool> fallback) const {
  const json* value = find(key);
  if (value == nullptr && fallback) return *fallback;
  if (value == nullptr) return error(key, "is missing");
  if (!value->is_boolean()) return error(key, expected(*value, "a boolean"));
  return value->get<bool>();
}

Result<std::string> JsonObject::string(
    const std::string& key, std::optional<std::string> fallback) const {
  const json* value = find(key);
  if (value == nullptr && fallback) return *std::move(fallback);
  if (value == nullptr) return error(key, "is missing");
  if (!value->is_string()) return error(key, expected(*value, "a string"));
  return value->get<std::string>();
}

Result<JsonObject> JsonObject::object(const std::string& key) const {
  const json* value = find(key);
  if (value == nullptr) return error(key, "is missing");
  return from(*value, where_ + ": " + key);
}

Result<const json*> JsonObject::array(const std::string& key) const {
  const json* value = find(key);
  if (value != nullptr && !value->is_array()) {
    return error(key, expected(*value, "an array"));
  }
  return value;
}

}  // namespace tessera
