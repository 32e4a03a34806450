// SPDX-License-Identifier: Apache-2.0

#include "framework/cli/bench/history/run_json.hpp"

#include <fmt/format.h>

#include <array>
#include <ctime>

namespace tessera::cli {
namespace {

std::string utc_text(int64_t seconds, const char* format) {
  const std::time_t time = seconds;
  std::tm parts{};
  if (gmtime_r(&time, &parts) == nullptr) return "unknown";
  std::array<char, 64> text{};
  return {text.data(), std::strftime(text.data(), text.size(), format, &parts)};
}

}  // namespace

std::string time_json(int64_t seconds) {
  return utc_text(seconds, "%Y-%m-%dT%H:%M:%SZ");
}

std::string time_text(int64_t seconds) {
  return utc_text(seconds, "%Y-%m-%d %H:%M");
}

std::string run_title(const bench::RunHead& head) {
  if (head.id == 0) return head.command;
  return fmt::format("run {} of {}", head.id, time_text(head.began_s));
}

Json head_json(const bench::RunHead& head) {
  return {{"run", head.id},
          {"uuid", head.uuid},
          {"kind", head.kind},
          {"began", time_json(head.began_s)},
          {"command", head.command},
          {"version", head.version},
          {"commit", head.commit},
          {"machine", head.machine},
          {"processor", head.processor},
          {"num_rows", head.num_rows}};
}

Json run_json(const bench::RunRecord& run) {
  Json json = head_json(run.head);
  json["environment"] = run.machine;
  json["settings"] = run.settings;
  json["devices"] = Json::array();
  for (const bench::RunDevice& device : run.devices) {
    json["devices"].push_back({{"name", device.name},
                               {"description", device.description},
                               {"driver", device.driver},
                               {"fingerprint", device.fingerprint},
                               {"plugin", device.plugin},
                               {"plugin_version", device.plugin_version},
                               {"plugin_sha256", device.plugin_sha256}});
  }
  json["rows"] = run.rows;
  for (Json& row : json["rows"]) row.erase("group");
  return json;
}

}  // namespace tessera::cli
