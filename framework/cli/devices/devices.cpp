// SPDX-License-Identifier: Apache-2.0
//
// tessera devices: what is here, healthy or not, and why not.

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <filesystem>
#include <memory>
#include <string>

#include "framework/cli/command.hpp"
#include "framework/cli/console.hpp"
#include "framework/cli/devices/environment.hpp"
#include "framework/cli/figures.hpp"
#include "framework/cli/json_output.hpp"
#include "framework/cli/table.hpp"
#include "framework/cli/target_options.hpp"
#include "framework/host/loading/negotiate.hpp"

namespace tessera::cli {
namespace {

struct DevicesOptions {
  bool environment = false;
  bool verbose = false;
  bool isolate = false;
  std::string reset;  // a plugin or one of its devices
  bool json = false;
};

std::vector<std::string> skipped_texts(const DeviceFacts& facts) {
  std::vector<std::string> texts;
  texts.reserve(facts.skipped_kernels.size());
  for (const tsr_kernel_desc& row : facts.skipped_kernels) {
    texts.push_back(skipped_kernel_text(row));
  }
  return texts;
}

Json device_json(const DeviceEntry& entry) {
  const tsr_device_info& info = entry.facts.info;
  Json device;
  device["name"] = entry.name;
  device["plugin"] = entry.plugin->name();
  device["status"] = entry.status.ok() ? "ready" : "unavailable";
  device["reason"] = entry.status.message();
  device["clock"] = clock_name(info.clock);
  device["memory_bytes"] = info.memory_bytes;
  device["certificate"] = certificate_text(entry);
  device["description"] = info.name;
  device["driver"] = info.driver;
  device["kernels"] = entry.facts.kernels.size();
  device["skipped_kernels"] = skipped_texts(entry.facts);
  device["plugin_version"] = entry.plugin->version();
  device["plugin_path"] = entry.plugin->path();
  device["isolated"] = entry.plugin->is_isolated();
  device["quarantine"] =
      entry.quarantine.empty() ? Json() : Json(entry.quarantine);
  return device;
}

// Plugins that did not load stand in the list too, so that nobody misses them.
Json failure_json(const PluginFailure& failure) {
  Json device;
  device["name"] = std::filesystem::path(failure.path).stem().string();
  device["plugin"] = device["name"];
  device["status"] = "not loaded";
  device["reason"] = failure.status.message();
  device["clock"] = nullptr;
  device["memory_bytes"] = nullptr;
  device["certificate"] = "uncertified";
  device["plugin_path"] = failure.path;
  return device;
}

std::string environment_text(const Environment& environment) {
  Table table({{"environment"}, {""}});
  table.add_row({"os", environment.os});
  table.add_row({"kernel", environment.kernel});
  table.add_row({"cpu", fmt::format("{}, {} usable cores", environment.cpu,
                                    environment.cores)});
  table.add_row({"isa", fmt::format("{}", fmt::join(environment.isa, " "))});
  table.add_row({"memory", bytes_text(environment.memory_bytes)});
  table.add_row(
      {"compiler", environment.compiler + ", " + environment.build_type});
  table.add_row(
      {"tessera", fmt::format("{}, commit {}", environment.tessera_version,
                              environment.commit)});
  table.add_row({"plugin ABI", environment.abi_version});
  for (const auto& [name, version] : environment.libraries) {
    table.add_row({name, version});
  }
  for (const std::string& folder : environment.plugin_folders) {
    table.add_row({"plugin folder", folder});
  }
  table.add_row({"cache folder", environment.cache_folder});
  return table.text() + "\n";
}

std::string status_text(const DeviceEntry& entry) {
  if (!entry.status.ok()) return "unavailable: " + entry.status.message();
  return entry.quarantine.empty() ? "ready" : "ready, quarantined";
}

std::string memory_text(uint64_t bytes) {
  return bytes == 0 ? "unknown" : bytes_text(bytes);
}

void print_devices(const Registry& registry, bool verbose) {
  std::vector<Column> columns = {{"device"},      {"status"},
                                 {"clock"},       {"memory", Align::kRight},
                                 {"certificate"}, {"description"}};
  if (verbose) {
    columns.insert(
        columns.end(),
        {{"kernels", Align::kRight}, {"driver"}, {"plugin"}, {"library"}});
  }
  Table table(std::move(columns));
  for (const DeviceEntry& entry : registry.devices()) {
    const tsr_device_info& info = entry.facts.info;
    table.add_row({entry.name, status_text(entry), clock_name(info.clock),
                   memory_text(info.memory_bytes), certificate_text(entry),
                   info.name, std::to_string(entry.facts.kernels.size()),
                   info.driver,
                   fmt::format("{} {}, ABI {}", entry.plugin->name(),
                               entry.plugin->version(),
                               abi_version_name(entry.plugin->abi_version())),
                   entry.plugin->path()});
  }
  write_out(table.text());
}

void print_skipped_kernels(const Registry& registry) {
  for (const DeviceEntry& entry : registry.devices()) {
    const std::vector<std::string> skipped = skipped_texts(entry.facts);
    if (skipped.empty()) continue;
    write_out(fmt::format(
        "\n{}: skipped {} kernels, of a later ABI than this program's\n  {}\n",
        entry.name, skipped.size(), fmt::join(skipped, "\n  ")));
  }
}

void print_quarantine(const Registry& registry) {
  std::string told;
  for (const DeviceEntry& entry : registry.devices()) {
    const std::string& name = entry.plugin->name();
    if (entry.quarantine.empty() || name == told) continue;
    told = name;
    write_out(fmt::format(
        "\n{} is quarantined, it runs in a child process: {}\n  tessera "
        "devices --reset {} clears this\n",
        name, entry.quarantine, name));
  }
}

void print_failures(const Registry& registry) {
  if (registry.failures().empty()) return;
  write_out("\nnot loaded\n");
  for (const PluginFailure& failure : registry.failures()) {
    const std::string& reason = failure.status.message();
    const bool names_path = reason.find(failure.path) != std::string::npos;
    write_out(
        fmt::format("  {}{}\n", names_path ? "" : failure.path + ": ", reason));
  }
}

void print_report(const Registry& registry, const DevicesOptions& options) {
  if (options.environment) write_out(environment_text(read_environment()));
  if (registry.devices().empty()) {
    write_out(fmt::format("no device: no plugin loaded from {}\n",
                          fmt::join(read_environment().plugin_folders, ", ")));
  }
  print_devices(registry, options.verbose);
  print_skipped_kernels(registry);
  print_quarantine(registry);
  print_failures(registry);
}

Status reset_record(const std::string& name, bool json) {
  const std::string plugin = name.substr(0, name.find(':'));
  const PluginRecords records = user_plugin_records();
  PluginRecord record = records.find(plugin);
  if (record.offences.empty()) {
    return {
        TSR_NOT_FOUND,
        fmt::format("--reset {}: plugin {} is not quarantined", name, plugin)};
  }
  record.offences.clear();
  TSR_RETURN_IF_ERROR(records.save(record));
  if (json) return print_json("devices --reset", {{"plugin", plugin}});
  write_out(fmt::format("{} is no longer quarantined\n", plugin));
  return {};
}

Status run_devices(const DevicesOptions& options) {
  if (!options.reset.empty()) return reset_record(options.reset, options.json);
  const Registry registry = discover_plugins(0, options.isolate);
  if (!options.json) {
    print_report(registry, options);
    return {};
  }
  Json devices = Json::array();
  for (const DeviceEntry& entry : registry.devices()) {
    devices.push_back(device_json(entry));
  }
  for (const PluginFailure& failure : registry.failures()) {
    devices.push_back(failure_json(failure));
  }
  if (!options.environment) {
    return print_json("devices", devices);
  }
  Json report;
  report["environment"] = environment_json(read_environment());
  report["devices"] = std::move(devices);
  return print_json("devices --env", report);
}

}  // namespace

Command add_devices_command(CLI::App& tessera) {
  CLI::App* app = tessera.add_subcommand(
      "devices", "Show what is here, healthy or not, and why not");
  auto options = std::make_shared<DevicesOptions>();
  app->add_flag("--env", options->environment,
                "Report the environment as well: machine, build, folders");
  app->add_flag("-v,--verbose", options->verbose,
                "Show kernels, drivers and libraries");
  app->add_flag("--isolate", options->isolate,
                "Load plugins in child processes");
  app->add_option("--reset", options->reset,
                  "Forget that this plugin crashed or hung, and end its "
                  "quarantine")
      ->type_name("NAME");
  add_json_option(*app, options->json);
  app->footer("Example:\n  tessera devices --env");
  return {app, [options] { return run_devices(*options); }};
}

}  // namespace tessera::cli
