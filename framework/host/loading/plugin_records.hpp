// SPDX-License-Identifier: Apache-2.0
//
// What the host remembers of plugins from run to run: those that crashed or
// hung, and those that the user has switched off.

#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "framework/base/status.hpp"

namespace tessera {

// A crash, a hang or a lost device.
struct Offence {
  std::string device;
  std::string reason;
  std::string date;  // "2026-11-21"
};

struct PluginRecord {
  std::string plugin;
  bool disabled = false;
  // Of one library: another one starts with a clean sheet.
  std::string sha256;
  std::vector<Offence> offences;

  bool is_empty() const { return !disabled && offences.empty(); }
  // True if the library `library_sha256` has to run in a child process.
  bool is_quarantined(const std::string& library_sha256) const {
    return !offences.empty() && sha256 == library_sha256;
  }
};

std::string plugin_record_json(const PluginRecord& record);
// Errors: INVALID_ARGUMENT, saying what is wrong.
Result<PluginRecord> parse_plugin_record(std::string_view text);

// Records of this user in one folder, a file for each plugin.
class PluginRecords {
 public:
  // `folder` need not exist; "" remembers nothing.
  explicit PluginRecords(std::string folder) : folder_(std::move(folder)) {}

  // An empty record if there is none, or its file is not to be trusted.
  PluginRecord find(const std::string& plugin) const;
  // Replaces it; an empty one leaves no file.
  // Errors: FAILED_PRECONDITION if there is no folder, or it cannot be written.
  Status save(const PluginRecord& record) const;
  // Adds to the offences of a library; the latest few are kept.
  Status add_offence(const std::string& plugin, const std::string& sha256,
                     Offence offence) const;

 private:
  std::string path_of(const std::string& plugin) const;

  std::string folder_;
};

// Those in state_folder().
PluginRecords user_plugin_records();

}  // namespace tessera
