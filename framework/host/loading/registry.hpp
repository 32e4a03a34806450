// SPDX-License-Identifier: Apache-2.0
//
// Finds the plugins of this machine and names their devices.

#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "framework/base/status.hpp"
#include "framework/host/device/device.hpp"
#include "framework/host/loading/plugin_library.hpp"
#include "framework/host/loading/plugin_records.hpp"
#include "framework/host/trust/certificate.hpp"

namespace tessera {

struct RegistryOptions {
  // Folders to look in, first match wins; empty: plugin_search_path().
  std::vector<std::string> folders;
  // Names of the plugins to load; empty: all.
  std::vector<std::string> only;
  // Names of plugins that run in a child process; "*" is all.  So do those that
  // `records` has in quarantine; those it has switched off are left out.
  std::vector<std::string> isolate;
  PluginRecords records = user_plugin_records();
  // Devices that the user named, "npu_sim:my.yaml": a plugin that takes
  // requests makes those it does not have otherwise.  In this process only the
  // first discovery of a library is heard.
  std::vector<std::string> devices;
  HostOptions host;
};

// A plugin that did not load, or is not used.
struct PluginFailure {
  std::string path;
  Status status;
};

struct DeviceEntry {
  std::string name;  // "cpu", "npu_sim:310p", "vulkan:1"
  std::shared_ptr<Plugin> plugin;
  uint32_t index = 0;
  DeviceFacts facts;
  Status status;  // OK, or why it cannot be opened
  // What the conformance kit found here or, unless it failed here, where the
  // plugin came from; none: uncertified.
  std::optional<Certificate> certificate;
  std::string certifier;  // of one that came with the plugin: who signed it
  // Why its plugin runs in a child though nobody asked for it; empty: no such
  // reason.
  std::string quarantine;
};

// "level 2 of 2026-11-21, 3 known failures, signed by NAME", "uncertified"
std::string certificate_text(const DeviceEntry& entry);

// Any thread, once made.
class Registry {
 public:
  // Loads every plugin that can be loaded.  One that cannot be is in
  // failures(); the others go on.
  static Registry discover(const RegistryOptions& options = {});

  const std::vector<std::shared_ptr<Plugin>>& plugins() const {
    return plugins_;
  }
  const std::vector<PluginFailure>& failures() const { return failures_; }
  const std::vector<DeviceEntry>& devices() const { return devices_; }

  // Finds a device by its name, or by "plugin:index".
  // Errors: NOT_FOUND, saying what there is; INVALID_ARGUMENT if `name` is a
  // plugin with several devices.
  Result<const DeviceEntry*> find(std::string_view name) const;
  Result<std::shared_ptr<Device>> open(std::string_view name,
                                       DeviceOptions options = {}) const;

 private:
  void add_folder(const std::string& folder, const RegistryOptions& options);
  void add_plugin(const std::string& manifest_path,
                  const RegistryOptions& options);

  std::vector<std::shared_ptr<Plugin>> plugins_;
  std::vector<PluginFailure> failures_;
  std::vector<DeviceEntry> devices_;
};

}  // namespace tessera
