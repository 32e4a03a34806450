// SPDX-License-Identifier: Apache-2.0
//
// The small JSON files in which the host remembers plugins from run to run.

#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "framework/base/status.hpp"

namespace tessera {

// The text of a file that only this user or root may write.
// Errors: what open_trusted gives.
Result<std::string> read_state_file(const std::string& path);

// Replaces the file, whole or not at all; makes its folder.
// Errors: FAILED_PRECONDITION if `folder` is "", saying that there is no folder
// for `things`, or if it cannot be written.
Status write_state_file(const std::string& folder, const std::string& path,
                        const std::string& text, const std::string& things);

// Reads typed values of an object and remembers the first that is not there, or
// is of another type.  Keeps a reference to the object.
class StateReader {
 public:
  // `what` begins messages: "certificate".
  StateReader(const nlohmann::json& object, std::string what);

  std::string text(const char* key);
  uint64_t number(const char* key);
  bool flag(const char* key);
  // An empty list if it is missing or no array.
  const nlohmann::json& list(const char* key);
  // Null if it is missing.
  const nlohmann::json* find(const char* key) const;
  // INVALID_ARGUMENT, naming the key.
  const Status& status() const { return status_; }

 private:
  void fail(const char* key);

  const nlohmann::json& object_;
  std::string what_;
  Status status_;
};

}  // namespace tessera
