// SPDX-License-Identifier: Apache-2.0

#include "framework/host/trust/state_file.hpp"

#include <stdlib.h>

#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>
#include <utility>

#include "framework/base/atomic_file.hpp"
#include "framework/base/mapped_file.hpp"
#include "framework/host/trust/certificate.hpp"
#include "framework/host/trust/private_folder.hpp"
#include "framework/host/trust/trust.hpp"

namespace tessera {
namespace {

std::string environment(const char* name) {
  const char* value = secure_getenv(name);
  return value == nullptr ? "" : value;
}

}  // namespace

std::string state_folder() {
  const std::string state = environment("XDG_STATE_HOME");
  if (!state.empty() && state[0] == '/') return state + "/tessera";
  const std::string home = environment("HOME");
  if (home.empty() || home[0] != '/') return "";
  return home + "/.local/state/tessera";
}

Result<std::string> read_state_file(const std::string& path) {
  TSR_ASSIGN_OR_RETURN(const TrustedFile file, open_trusted(path));
  TSR_ASSIGN_OR_RETURN(const MappedFile mapped, MappedFile::open(file.path));
  return std::string(reinterpret_cast<const char*>(mapped.bytes().data()),
                     mapped.bytes().size());
}

Status write_state_file(const std::string& folder, const std::string& path,
                        const std::string& text, const std::string& things) {
  if (folder.empty()) {
    return {
        TSR_FAILED_PRECONDITION,
        "no folder for " + things + ": HOME and XDG_STATE_HOME are not set"};
  }
  if (!create_private_folder(folder)) {
    return {TSR_FAILED_PRECONDITION, folder + ": " + std::strerror(errno)};
  }
  return write_file_atomically(path, text);
}

StateReader::StateReader(const nlohmann::json& object, std::string what)
    : object_(object), what_(std::move(what)) {
  if (!object.is_object()) {
    status_ = {TSR_INVALID_ARGUMENT, what_ + ": not a JSON object"};
  }
}

std::string StateReader::text(const char* key) {
  const nlohmann::json* value = find(key);
  if (value != nullptr && value->is_string()) return value->get<std::string>();
  fail(key);
  return "";
}

uint64_t StateReader::number(const char* key) {
  const nlohmann::json* value = find(key);
  if (value != nullptr && value->is_number_unsigned()) {
    return value->get<uint64_t>();
  }
  fail(key);
  return 0;
}

bool StateReader::flag(const char* key) {
  const nlohmann::json* value = find(key);
  if (value != nullptr && value->is_boolean()) return value->get<bool>();
  fail(key);
  return false;
}

const nlohmann::json& StateReader::list(const char* key) {
  static const nlohmann::json kNone = nlohmann::json::array();
  const nlohmann::json* value = find(key);
  if (value != nullptr && value->is_array()) return *value;
  fail(key);
  return kNone;
}

const nlohmann::json* StateReader::find(const char* key) const {
  if (!object_.is_object()) return nullptr;
  const auto found = object_.find(key);
  return found == object_.end() ? nullptr : &*found;
}

void StateReader::fail(const char* key) {
  if (!status_.ok()) return;
  status_ = {TSR_INVALID_ARGUMENT, what_ + ": no good \"" + key + "\""};
}

}  // namespace tessera
