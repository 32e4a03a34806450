// SPDX-License-Identifier: Apache-2.0

#include "framework/host/signing/key_list.hpp"

#include <stdlib.h>
#include <sys/stat.h>

#include <algorithm>

#include "framework/base/mapped_file.hpp"
#include "framework/host/trust/trust.hpp"

namespace tessera {
namespace {

constexpr const char* kSystemList = "/etc/tessera/keys";

Status bad_line(size_t number, const std::string& message) {
  return {TSR_INVALID_ARGUMENT,
          "line " + std::to_string(number) + ": " + message};
}

bool is_key(std::string_view text) {
  return text.size() == 64 && std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
         });
}

std::string environment(const char* name) {
  const char* value = secure_getenv(name);
  return value == nullptr ? "" : value;
}

// "" if the environment names no folder, or may not be trusted.
std::string user_list() {
  const std::string config = environment("XDG_CONFIG_HOME");
  if (!config.empty() && config[0] == '/') return config + "/tessera/keys";
  const std::string home = environment("HOME");
  if (home.empty() || home[0] != '/') return "";
  return home + "/.config/tessera/keys";
}

bool is_there(const std::string& path) {
  struct stat info {};
  return !path.empty() && lstat(path.c_str(), &info) == 0;
}

Status read_line(std::string_view line, size_t number, KeyList& list) {
  line = line.substr(0, line.find('#'));
  while (!line.empty() && (line.back() == ' ' || line.back() == '\r')) {
    line.remove_suffix(1);
  }
  if (line.empty()) return {};
  if (line == "require") {
    list.is_required = true;
    return {};
  }
  constexpr std::string_view kWord = "key ";
  const size_t space = line.find(' ', kWord.size());
  if (line.substr(0, kWord.size()) != kWord ||
      space == std::string_view::npos) {
    return bad_line(number, "neither \"key HEX NAME\" nor \"require\"");
  }
  const std::string key(line.substr(kWord.size(), space - kWord.size()));
  if (!is_key(key)) {
    return bad_line(number, "the key is not 64 lower-case hex digits");
  }
  list.names[key] = line.substr(space + 1);
  return {};
}

}  // namespace

void KeyList::merge(const KeyList& other) {
  names.insert(other.names.begin(), other.names.end());
  is_required = is_required || other.is_required;
}

Result<KeyList> parse_key_list(std::string_view text) {
  KeyList list;
  for (size_t number = 1; !text.empty(); ++number) {
    const size_t end = text.find('\n');
    TSR_RETURN_IF_ERROR(read_line(text.substr(0, end), number, list));
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  }
  return list;
}

Result<KeyList> read_key_list(const std::string& path) {
  TSR_ASSIGN_OR_RETURN(const TrustedFile trusted, open_trusted(path));
  TSR_ASSIGN_OR_RETURN(const MappedFile file, MappedFile::open(trusted.path));
  return parse_key_list({reinterpret_cast<const char*>(file.bytes().data()),
                         file.bytes().size()})
      .annotate(path);
}

Result<KeyList> trusted_keys() {
  KeyList all;
  for (const std::string& path : {std::string(kSystemList), user_list()}) {
    if (!is_there(path)) continue;
    TSR_ASSIGN_OR_RETURN(const KeyList list, read_key_list(path));
    all.merge(list);
  }
  return all;
}

}  // namespace tessera
