// SPDX-License-Identifier: Apache-2.0

#include "framework/host/loading/plugin_records.hpp"

#include <unistd.h>

#include <cctype>
#include <nlohmann/json.hpp>
#include <utility>

#include "framework/host/trust/certificate.hpp"
#include "framework/host/trust/state_file.hpp"

namespace tessera {
namespace {

using Json = nlohmann::json;

constexpr int kFormat = 1;
constexpr const char* kWhat = "plugin record";
constexpr size_t kMaxOffences = 8;

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
  StateReader reader(json, kWhat);
  if (reader.number("format") != kFormat) {
    return Status(TSR_INVALID_ARGUMENT,
                  std::string(kWhat) + ": another format");
  }
  PluginRecord record;
  record.plugin = reader.text("plugin");
  record.sha256 = reader.text("sha256");
  record.disabled = reader.flag("disabled");
  for (const Json& one : reader.list("offences")) {
    StateReader offence(one, kWhat);
    record.offences.push_back(
        {offence.text("device"), offence.text("reason"), offence.text("date")});
    TSR_RETURN_IF_ERROR(offence.status());
  }
  TSR_RETURN_IF_ERROR(reader.status());
  return record;
}

std::string PluginRecords::path_of(const std::string& plugin) const {
  return folder_ + "/" + plugin + ".json";
}

PluginRecord PluginRecords::find(const std::string& plugin) const {
  PluginRecord empty;
  empty.plugin = plugin;
  if (folder_.empty() || !is_plugin_name(plugin)) return empty;
  const Result<std::string> text = read_state_file(path_of(plugin));
  if (!text.ok()) return empty;
  Result<PluginRecord> record = parse_plugin_record(*text);
  const bool holds = record.ok() && record->plugin == plugin;
  return holds ? std::move(*record) : empty;
}

Status PluginRecords::save(const PluginRecord& record) const {
  if (!is_plugin_name(record.plugin)) {
    return {TSR_INVALID_ARGUMENT, record.plugin + " is no name of a plugin"};
  }
  const std::string path = path_of(record.plugin);
  if (!folder_.empty() && record.is_empty()) {
    unlink(path.c_str());
    return {};
  }
  return write_state_file(folder_, path, plugin_record_json(record),
                          "what is known of plugins");
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
