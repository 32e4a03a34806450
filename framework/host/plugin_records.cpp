// SPDX-License-Identifier: Apache-2.0

#include "framework/host/plugin_records.hpp"

#include <unistd.h>

#include <cctype>
#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>
#include <utility>

#include "framework/base/atomic_file.hpp"
#include "framework/base/mapped_file.hpp"
#include "framework/host/certificate.hpp"
#include "framework/host/private_folder.hpp"
#include "framework/host/trust.hpp"

namespace tessera {
namespace {

using Json = nlohmann::json;

constexpr int kFormat = 1;
constexpr size_t kMaxOffences = 8;

Status bad(const std::string& message) {
  return {TSR_INVALID_ARGUMENT, "plugin record: " + message};
}

bool read_text(const Json& object, const char* key, std::string& out_text) {
  const auto found = object.find(key);
  if (found == object.end() || !found->is_string()) return false;
  out_text = found->get<std::string>();
  return true;
}

// Plugins have such names (see the manifest); a device's file must not leave
// the folder.
bool is_plugin_name(const std::string& name) {
  if (name.empty() || name.size() > 64) return false;
  for (const char c : name) {
    if (std::isalnum(static_cast<unsigned char>(c)) == 0 && c != '_') {
      return false;
    }
  }
  return true;
}

}  // namespace

std::string plugin_record_json(const PluginRecord& record) {
  Json json;
  json["format"] = kFormat;
  json["plugin"] = record.plugin;
  json["disabled"] = record.disabled;
  json["sha256"] = record.sha256;
  json["offences"] = Json::array();
  for (const Offence& offence : record.offences) {
    json["offences"].push_back({{"device", offence.device},
                                {"reason", offence.reason},
                                {"date", offence.date}});
  }
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

Result<PluginRecord> parse_plugin_record(std::string_view text) {
  const Json json = Json::parse(text.begin(), text.end(), nullptr,
                                /*allow_exceptions=*/false);
  if (!json.is_object()) return bad("not a JSON object");
  const auto format = json.find("format");
  if (format == json.end() || *format != kFormat) return bad("another format");
  PluginRecord record;
  const auto disabled = json.find("disabled");
  const auto offences = json.find("offences");
  if (!read_text(json, "plugin", record.plugin) ||
      !read_text(json, "sha256", record.sha256) || disabled == json.end() ||
      !disabled->is_boolean() || offences == json.end() ||
      !offences->is_array()) {
    return bad("a key is missing or of another type");
  }
  record.disabled = disabled->get<bool>();
  for (const Json& one : *offences) {
    Offence offence;
    if (!one.is_object() || !read_text(one, "device", offence.device) ||
        !read_text(one, "reason", offence.reason) ||
        !read_text(one, "date", offence.date)) {
      return bad("an offence without device, reason or date");
    }
    record.offences.push_back(std::move(offence));
  }
  return record;
}

std::string PluginRecords::path_of(const std::string& plugin) const {
  return folder_ + "/" + plugin + ".json";
}

PluginRecord PluginRecords::find(const std::string& plugin) const {
  PluginRecord empty;
  empty.plugin = plugin;
  if (folder_.empty() || !is_plugin_name(plugin)) return empty;
  const Result<TrustedFile> file = open_trusted(path_of(plugin));
  if (!file.ok()) return empty;
  const Result<MappedFile> mapped = MappedFile::open(file->path);
  if (!mapped.ok()) return empty;
  Result<PluginRecord> record = parse_plugin_record(
      {reinterpret_cast<const char*>(mapped->bytes().data()),
       mapped->bytes().size()});
  const bool holds = record.ok() && record->plugin == plugin;
  return holds ? std::move(*record) : empty;
}

Status PluginRecords::save(const PluginRecord& record) const {
  if (!is_plugin_name(record.plugin)) {
    return {TSR_INVALID_ARGUMENT, record.plugin + " is no name of a plugin"};
  }
  if (folder_.empty()) {
    return {TSR_FAILED_PRECONDITION,
            "no folder to remember plugins in: HOME and XDG_STATE_HOME are not "
            "set"};
  }
  if (record.is_empty()) {
    unlink(path_of(record.plugin).c_str());
    return {};
  }
  if (!create_private_folder(folder_)) {
    return {TSR_FAILED_PRECONDITION, folder_ + ": " + std::strerror(errno)};
  }
  return write_file_atomically(path_of(record.plugin),
                               plugin_record_json(record));
}

Status PluginRecords::add_offence(const std::string& plugin,
                                  const std::string& sha256,
                                  Offence offence) const {
  PluginRecord record = find(plugin);
  if (record.sha256 != sha256) record.offences.clear();
  record.sha256 = sha256;
  record.offences.push_back(std::move(offence));
  if (record.offences.size() > kMaxOffences) {
    record.offences.erase(record.offences.begin());
  }
  return save(record);
}

PluginRecords user_plugin_records() {
  const std::string folder = state_folder();
  return PluginRecords(folder.empty() ? "" : folder + "/plugins");
}

}  // namespace tessera
