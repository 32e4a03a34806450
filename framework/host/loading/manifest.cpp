// SPDX-License-Identifier: Apache-2.0

#include "framework/host/loading/manifest.hpp"

#include <algorithm>
#include <charconv>
#include <iterator>
#include <nlohmann/json.hpp>
#include <vector>

namespace tessera {
namespace {

using Json = nlohmann::json;

constexpr int64_t kFormat = 1;
constexpr const char* kKeys[] = {"abi_max", "abi_min", "format",
                                 "library", "name",    "sha256"};

Status bad(const std::string& message) {
  return {TSR_INVALID_ARGUMENT, "manifest: " + message};
}

// The document, and the keys of its outermost object as they come: the
// document itself forgets that a key came twice.
Json parse(std::string_view text, std::vector<std::string>* out_keys) {
  const auto collect = [out_keys](int depth, Json::parse_event_t event,
                                  Json& value) {
    if (depth == 1 && event == Json::parse_event_t::key) {
      out_keys->push_back(value.get<std::string>());
    }
    return true;
  };
  return Json::parse(text.begin(), text.end(), collect,
                     /*allow_exceptions=*/false);
}

Status check_keys(std::vector<std::string> keys) {
  std::sort(keys.begin(), keys.end());
  const auto twice = std::adjacent_find(keys.begin(), keys.end());
  if (twice != keys.end()) return bad("two keys \"" + *twice + "\"");
  for (const char* key : kKeys) {
    if (!std::binary_search(keys.begin(), keys.end(), key)) {
      return bad(std::string("no key \"") + key + "\"");
    }
  }
  for (const std::string& key : keys) {
    if (std::find(std::begin(kKeys), std::end(kKeys), key) == std::end(kKeys)) {
      return bad("unknown key \"" + key + "\"");
    }
  }
  return {};
}

Result<std::string> read_string(const Json& document, const char* key) {
  const Json& value = document.at(key);
  if (!value.is_string() || value.get_ref<const std::string&>().empty()) {
    return bad(std::string("\"") + key + "\" is not a string of text");
  }
  return value.get<std::string>();
}

// "1.0" as (1 << 16) | 0.
Result<uint32_t> read_version(const Json& document, const char* key) {
  TSR_ASSIGN_OR_RETURN(const std::string text, read_string(document, key));
  uint16_t major = 0;
  uint16_t minor = 0;
  const char* end = text.data() + text.size();
  const auto first = std::from_chars(text.data(), end, major);
  if (first.ec == std::errc() && first.ptr != end && *first.ptr == '.') {
    const auto second = std::from_chars(first.ptr + 1, end, minor);
    if (second.ec == std::errc() && second.ptr == end) {
      return uint32_t{major} << 16 | minor;
    }
  }
  return bad(std::string("\"") + key + "\" is \"" + text +
             "\", not MAJOR.MINOR");
}

bool is_name(const std::string& name) {
  constexpr size_t kMaxLength = 64;
  return name.size() <= kMaxLength &&
         std::all_of(name.begin(), name.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
         });
}

bool is_sha256(const std::string& text) {
  return text.size() == 64 && std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
         });
}

bool is_file_name(const std::string& name) {
  return name.find('/') == std::string::npos && name != "." && name != ".." &&
         name.find('\0') == std::string::npos;
}

Status check_values(const Manifest& manifest) {
  if (!is_name(manifest.name)) {
    return bad("\"name\" is \"" + manifest.name +
               "\", not up to 64 of a-z, 0-9 and _");
  }
  if (!is_file_name(manifest.library)) {
    return bad("\"library\" is \"" + manifest.library +
               "\", not a file name without folders");
  }
  if (manifest.abi_min > manifest.abi_max) {
    return bad("\"abi_min\" is above \"abi_max\"");
  }
  if (!is_sha256(manifest.sha256)) {
    return bad("\"sha256\" is not 64 lower-case hex digits");
  }
  return {};
}

}  // namespace

Result<Manifest> parse_manifest(std::string_view text) {
  std::vector<std::string> keys;
  const Json document = parse(text, &keys);
  if (!document.is_object()) return bad("not a JSON object");
  TSR_RETURN_IF_ERROR(check_keys(std::move(keys)));
  const Json& format = document.at("format");
  if (!format.is_number_integer() || format != kFormat) {
    return bad("\"format\" is " + format.dump() + "; this host reads 1");
  }
  Manifest manifest;
  TSR_ASSIGN_OR_RETURN(manifest.name, read_string(document, "name"));
  TSR_ASSIGN_OR_RETURN(manifest.library, read_string(document, "library"));
  TSR_ASSIGN_OR_RETURN(manifest.abi_min, read_version(document, "abi_min"));
  TSR_ASSIGN_OR_RETURN(manifest.abi_max, read_version(document, "abi_max"));
  TSR_ASSIGN_OR_RETURN(manifest.sha256, read_string(document, "sha256"));
  TSR_RETURN_IF_ERROR(check_values(manifest));
  return manifest;
}

}  // namespace tessera
