// SPDX-License-Identifier: Apache-2.0

#include "framework/host/registry.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <system_error>
#include <utility>

#include "framework/host/search_path.hpp"

namespace tessera {
namespace {

namespace fs = std::filesystem;

// Files of a folder in the order of their names; none if it is not there.
std::vector<std::string> files_in(const std::string& folder) {
  std::vector<std::string> files;
  std::error_code code;
  for (fs::directory_iterator entry(folder, code), end; !code && entry != end;
       entry.increment(code)) {
    files.push_back(entry->path().string());
  }
  std::sort(files.begin(), files.end());
  return files;
}

bool ends_with(const std::string& text, std::string_view end) {
  return text.size() >= end.size() &&
         text.compare(text.size() - end.size(), end.size(), end) == 0;
}

std::string manifest_of(const std::string& library) {
  return library.substr(0, library.size() - 3) + ".json";
}

bool is_plugin_library(const std::string& path) {
  return ends_with(path, ".so") &&
         fs::path(path).filename().string().rfind("tsr_plugin_", 0) == 0;
}

// "cpu" of ".../tsr_plugin_cpu.json"; only a guess before it is read.
std::string name_of(const std::string& manifest_path) {
  constexpr std::string_view kPrefix = "tsr_plugin_";
  const std::string stem = fs::path(manifest_path).stem().string();
  return stem.rfind(kPrefix, 0) == 0 ? stem.substr(kPrefix.size()) : stem;
}

bool is_isolated(const std::string& name, const RegistryOptions& options) {
  return std::any_of(options.isolate.begin(), options.isolate.end(),
                     [&](const std::string& chosen) {
                       return chosen == "*" || chosen == name;
                     });
}

}  // namespace

Registry Registry::discover(const RegistryOptions& options) {
  RegistryOptions used = options;
  if (used.folders.empty()) used.folders = plugin_search_path();
  if (!used.host.pool) {
    used.host.pool = std::make_shared<ThreadPool>(used.host.num_threads);
  }
  Registry registry;
  for (const std::string& folder : used.folders) {
    registry.add_folder(folder, used);
  }
  return registry;
}

void Registry::add_folder(const std::string& folder,
                          const RegistryOptions& options) {
  const std::vector<std::string> files = files_in(folder);
  for (const std::string& path : files) {
    if (ends_with(path, ".json")) add_plugin(path, options);
    if (is_plugin_library(path) &&
        !std::binary_search(files.begin(), files.end(), manifest_of(path))) {
      failures_.push_back(
          {path, Status(TSR_NOT_FOUND, "no manifest " + manifest_of(path))});
    }
  }
}

void Registry::add_plugin(const std::string& manifest_path,
                          const RegistryOptions& options) {
  const std::string name = name_of(manifest_path);
  for (const auto& plugin : plugins_) {
    if (plugin->name() != name) continue;
    failures_.push_back(
        {manifest_path,
         Status(TSR_FAILED_PRECONDITION,
                "plugin " + name + " was found before: " + plugin->path())});
    return;
  }
  Result<std::shared_ptr<Plugin>> plugin =
      is_isolated(name, options)
          ? Plugin::load_isolated(manifest_path, options.host)
          : Plugin::load(manifest_path, options.host);
  if (!plugin.ok()) {
    failures_.push_back({manifest_path, plugin.status()});
    return;
  }
  Result<std::vector<DeviceFacts>> devices =
      read_devices((*plugin)->api(), (*plugin)->name());
  if (!devices.ok()) {
    failures_.push_back({manifest_path, devices.status()});
    return;
  }
  for (uint32_t i = 0; i < devices->size(); ++i) {
    DeviceFacts& facts = (*devices)[i];
    const auto health = static_cast<tsr_status>(facts.info.health);
    Status status =
        health == TSR_OK ? Status() : Status(health, facts.info.reason);
    devices_.push_back(
        {facts.name, *plugin, i, std::move(facts), std::move(status)});
  }
  plugins_.push_back(std::move(*plugin));
}

Result<const DeviceEntry*> Registry::find(std::string_view name) const {
  uint32_t of_plugin = 0;
  for (const DeviceEntry& entry : devices_) {
    if (entry.name == name ||
        name == fmt::format("{}:{}", entry.plugin->name(), entry.index)) {
      return &entry;
    }
    of_plugin += entry.plugin->name() == name ? 1 : 0;
  }
  std::string names;
  for (const DeviceEntry& entry : devices_) {
    names += (names.empty() ? "" : ", ") + entry.name;
  }
  const std::string choice =
      names.empty() ? "there is none" : "choose " + names;
  if (of_plugin > 1) {
    return Status(
        TSR_INVALID_ARGUMENT,
        fmt::format("plugin {} has {} devices; {}", name, of_plugin, choice));
  }
  return Status(TSR_NOT_FOUND, fmt::format("no device {}; {}", name, choice));
}

Result<std::shared_ptr<Device>> Registry::open(std::string_view name,
                                               DeviceOptions options) const {
  TSR_ASSIGN_OR_RETURN(const DeviceEntry* entry, find(name));
  return Device::open(entry->plugin, entry->index, options);
}

}  // namespace tessera
