// SPDX-License-Identifier: Apache-2.0

#include "framework/host/loading/registry.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <system_error>
#include <utility>

#include "framework/host/barring/barred_device.hpp"
#include "framework/host/loading/search_path.hpp"
#include "framework/host/loading/verified_library.hpp"
#include "framework/host/signing/shipped_certificate.hpp"

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

bool is_wanted(const std::string& name, const RegistryOptions& options) {
  return options.only.empty() ||
         std::find(options.only.begin(), options.only.end(), name) !=
             options.only.end();
}

bool is_isolated(const std::string& name, const RegistryOptions& options) {
  return std::any_of(options.isolate.begin(), options.isolate.end(),
                     [&](const std::string& chosen) {
                       return chosen == "*" || chosen == name;
                     });
}

// Why a plugin must run in a child; empty if it need not.  Only for a plugin
// with a record is the library looked at.
std::string quarantine_of(const std::string& manifest_path,
                          const PluginRecord& record) {
  if (record.offences.empty()) return "";
  const Result<VerifiedLibrary> library = verify_library(manifest_path);
  if (!library.ok() || !record.is_quarantined(library->manifest.sha256)) {
    return "";
  }
  const Offence& last = record.offences.back();
  return fmt::format("{} failure{}, the last on {}: {}", record.offences.size(),
                     record.offences.size() == 1 ? "" : "s", last.date,
                     last.reason);
}

// Fills in what is certified of a device.  A key list that cannot be read has
// no keys.
void certify(DeviceEntry& entry) {
  const CertifiedDevice subject{entry.plugin->sha256(), entry.name,
                                entry.facts.info.name, entry.facts.info.driver};
  const CertificateStore own = user_certificates();
  entry.certificate = own.find(subject);
  if (entry.certificate || own.is_revoked(subject)) return;
  const Result<KeyList> keys = trusted_keys();
  if (!keys.ok()) return;
  std::optional<ShippedCertificate> shipped =
      find_shipped_certificate(entry.plugin->path(), subject, *keys);
  if (!shipped) return;
  entry.certificate = std::move(shipped->certificate);
  entry.certifier = std::move(shipped->signer.name);
}

// What `devices` ask of a plugin: the part after "name:", unless it is an
// index.
std::vector<std::string> requests_of(const std::string& name,
                                     const std::vector<std::string>& devices) {
  std::vector<std::string> requests;
  for (const std::string& device : devices) {
    if (device.rfind(name + ":", 0) != 0) continue;
    std::string request = device.substr(name.size() + 1);
    const bool is_index =
        request.find_first_not_of("0123456789") == std::string::npos;
    const bool is_new =
        std::find(requests.begin(), requests.end(), request) == requests.end();
    if (!is_index && is_new) requests.push_back(std::move(request));
  }
  return requests;
}

// The last devices are those asked for: they get the names that the user gave
// them, and go if they are there under that name already.
void name_requested(const std::string& plugin,
                    const std::vector<std::string>& requests,
                    std::vector<DeviceFacts>& devices) {
  if (devices.size() < requests.size()) return;
  const size_t first = devices.size() - requests.size();
  for (size_t i = 0; i < requests.size(); ++i) {
    devices[first + i].name = plugin + ":" + requests[i];
  }
}

}  // namespace

std::string certificate_text(const DeviceEntry& entry) {
  if (!entry.certificate) return "uncertified";
  const Certificate& certificate = *entry.certificate;
  std::string text =
      fmt::format("level {} of {}", certificate.level, certificate.issued);
  if (!certificate.known_failures.empty()) {
    text +=
        fmt::format(", {} known failures", certificate.known_failures.size());
  }
  if (!entry.certifier.empty()) text += ", signed by " + entry.certifier;
  return text;
}

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
    if (!is_wanted(name_of(path), options)) continue;
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
  const PluginRecord record = options.records.find(name);
  if (record.disabled) {
    failures_.push_back(
        {manifest_path,
         Status(TSR_FAILED_PRECONDITION,
                "plugin " + name + " is switched off: tessera plugin enable " +
                    name)});
    return;
  }
  const std::string quarantine = quarantine_of(manifest_path, record);
  HostOptions host = options.host;
  host.requested_devices = requests_of(name, options.devices);
  Result<std::shared_ptr<Plugin>> plugin =
      is_isolated(name, options) || !quarantine.empty()
          ? Plugin::load_isolated(manifest_path, host)
          : Plugin::load(manifest_path, host);
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
  if (((*plugin)->flags() & TSR_PLUGIN_TAKES_REQUESTS) != 0) {
    name_requested(name, (*plugin)->requested_devices(), *devices);
  }
  for (uint32_t i = 0; i < devices->size(); ++i) {
    DeviceFacts& facts = (*devices)[i];
    const bool is_known = std::any_of(
        devices_.begin(), devices_.end(),
        [&](const DeviceEntry& entry) { return entry.name == facts.name; });
    if (is_known) continue;
    const auto health = static_cast<tsr_status>(facts.info.health);
    Status status =
        health == TSR_OK ? Status() : Status(health, facts.info.reason);
    std::string device = facts.name;
    DeviceEntry entry{std::move(device),  *plugin, i,         std::move(facts),
                      std::move(status),
                      /*certificate=*/{}, "",      quarantine};
    certify(entry);
    devices_.push_back(std::move(entry));
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
  std::string nearest;
  for (const DeviceEntry& entry : devices_) {
    names += (names.empty() ? "" : ", ") + entry.name;
    if (!entry.name.starts_with(name)) continue;
    nearest += (nearest.empty() ? "" : ", ") + entry.name;
  }
  const std::string choice =
      names.empty() ? "there is none" : "choose " + names;
  if (of_plugin > 1) {
    return Status(
        TSR_INVALID_ARGUMENT,
        fmt::format("plugin {} has {} devices; {}", name, of_plugin, choice));
  }
  return Status(
      TSR_NOT_FOUND,
      fmt::format("no device {}; {}", name,
                  nearest.empty() ? choice : "the nearest: " + nearest));
}

Result<std::shared_ptr<Device>> Registry::open(std::string_view name,
                                               DeviceOptions options) const {
  TSR_ASSIGN_OR_RETURN(const DeviceEntry* entry, find(name));
  if (entry->certificate && !entry->certificate->known_failures.empty()) {
    return open_barred(entry->plugin, entry->index, options, entry->facts,
                       entry->certificate->known_failures);
  }
  return Device::open(entry->plugin, entry->index, options);
}

}  // namespace tessera
