// SPDX-License-Identifier: Apache-2.0
//
// One JSON object whose members are read with their types and bounds checked,
// so that every reader here words its errors alike.

#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "framework/base/status.hpp"

namespace tessera {

// A borrowed object.  A member that is null counts as missing; the fallback, if
// there is one, stands in for a missing member.
//
// Errors  INVALID_ARGUMENT, naming `where` and the key, if a member is missing
//         without a fallback, has another type or lies out of bounds.
class JsonObject {
 public:
  struct Bounds {
    int64_t min;
    int64_t max;
  };

  // `where` begins every message: "config.json: rope_scaling".
  static Result<JsonObject> from(const nlohmann::json& value,
                                 std::string where);

  const std::string& where() const { return where_; }

  // The member; null if it is missing or null.
  const nlohmann::json* find(const std::string& key) const;
  // True also for a member that is null.
  bool contains(const std::string& key) const;

  Result<int64_t> integer(const std::string& key, Bounds bounds,
                          std::optional<int64_t> fallback = {}) const;
  Result<double> number(const std::string& key,
                        std::optional<double> fallback = {}) const;
  Result<bool> boolean(const std::string& key,
                       std::optional<bool> fallback = {}) const;
  Result<std::string> string(const std::string& key,
                             std::optional<std::string> fallback = {}) const;
  Result<JsonObject> object(const std::string& key) const;
  // An array; null if the member is missing.
  Result<const nlohmann::json*> array(const std::string& key) const;

  // "<where>: <key> <problem>" with code INVALID_ARGUMENT.
  Status error(const std::string& key, const std::string& problem) const;

 private:
  JsonObject(const nlohmann::json& value, std::string where)
      : value_(&value), where_(std::move(where)) {}

  const nlohmann::json* value_;
  std::string where_;
};

}  // namespace tessera
