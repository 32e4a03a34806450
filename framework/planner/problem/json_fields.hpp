// SPDX-License-Identifier: Apache-2.0
//
// Fields of JSON that others may have written: each has the type that is asked
// for, or the error names it.

#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "framework/base/status.hpp"

namespace tessera::planner {

using Json = nlohmann::ordered_json;

// Errors: INVALID_ARGUMENT, naming `what`, unless `text` is one JSON object.
Result<Json> parse_object(const std::string& text, const std::string& what);

// Reads one object.  After the first failure all results are empty, and
// status() tells of it.
class JsonFields {
 public:
  // `where` begins the error: "problem.json: devices[2]".
  JsonFields(const Json& object, std::string where);

  bool has(const char* key) const;
  std::string text(const char* key);
  std::string text_or(const char* key, const std::string& otherwise);
  uint64_t count(const char* key, uint64_t max = uint64_t{1} << 52);
  uint64_t count_or(const char* key, uint64_t otherwise);
  double amount(const char* key);  // finite, at least 0
  double amount_or(const char* key, double otherwise);
  bool flag_or(const char* key, bool otherwise);
  // Empty if the key is missing.
  const std::vector<Json>& list(const char* key);
  // An empty object if the key is missing.
  const Json& object(const char* key);

  const std::string& where() const { return where_; }
  std::string where(const char* key, size_t index) const;
  const Status& status() const { return status_; }
  // The value whatever its type; null if the key is missing.
  const Json& value(const char* key);
  // Takes on the failure of a part.
  void adopt(const Status& status);
  // Notes a failure unless there is one.
  void fail(const std::string& key, const std::string& what);

 private:
  const Json* find(const char* key, bool required);

  const Json& object_;
  std::string where_;
  Status status_;
};

}  // namespace tessera::planner
