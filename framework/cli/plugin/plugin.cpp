// SPDX-License-Identifier: Apache-2.0
//
// tessera plugin: which plugins are here, which may run, and who vouches for
// them.

#include <fmt/format.h>

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "framework/cli/command.hpp"
#include "framework/cli/console.hpp"
#include "framework/cli/json_output.hpp"
#include "framework/cli/plugin/find_library.hpp"
#include "framework/cli/plugin/signing.hpp"
#include "framework/cli/table.hpp"
#include "framework/cli/target_options.hpp"
#include "framework/host/loading/plugin_records.hpp"
#include "framework/host/loading/verified_library.hpp"
#include "framework/host/signing/signed_file.hpp"

namespace tessera::cli {
namespace {

// One line of the list.
struct ListedPlugin {
  std::string name;
  std::string status;
  std::string reason;
  std::string signature;
  std::string path;
};

std::string signature_of(const std::string& library_path) {
  const std::string manifest =
      std::filesystem::path(library_path).replace_extension(".json").string();
  const Result<VerifiedLibrary> verified = verify_library(manifest);
  return verified.ok() ? signer_text(verified->signer)
                       : verified.status().message();
}

std::string quarantine_of(const Registry& registry, const std::string& plugin) {
  for (const DeviceEntry& entry : registry.devices()) {
    if (entry.plugin->name() == plugin) return entry.quarantine;
  }
  return "";
}

std::vector<ListedPlugin> list_plugins(const Registry& registry) {
  std::vector<ListedPlugin> list;
  for (const auto& plugin : registry.plugins()) {
    const std::string quarantine = quarantine_of(registry, plugin->name());
    list.push_back({plugin->name(),
                    quarantine.empty() ? "enabled" : "quarantined", quarantine,
                    signature_of(plugin->path()), plugin->path()});
  }
  const PluginRecords records = user_plugin_records();
  for (const PluginFailure& failure : registry.failures()) {
    const std::string stem =
        std::filesystem::path(failure.path).stem().string();
    constexpr std::string_view kPrefix = "tsr_plugin_";
    const std::string name =
        stem.rfind(kPrefix, 0) == 0 ? stem.substr(kPrefix.size()) : stem;
    const bool disabled = records.find(name).disabled;
    list.push_back({name, disabled ? "disabled" : "refused",
                    failure.status.message(), "", failure.path});
  }
  return list;
}

Status run_list(const PluginOptions& options) {
  const Registry registry = discover_plugins(0, false);
  const std::vector<ListedPlugin> list = list_plugins(registry);
  if (options.json) {
    Json json = Json::array();
    for (const ListedPlugin& plugin : list) {
      json.push_back({{"name", plugin.name},
                      {"status", plugin.status},
                      {"reason", plugin.reason},
                      {"signature", plugin.signature},
                      {"path", plugin.path}});
    }
    return print_json("plugin list", json);
  }
  Table table({{"plugin"}, {"status"}, {"signature"}, {"path"}, {"reason"}});
  for (const ListedPlugin& plugin : list) {
    table.add_row({plugin.name, plugin.status, plugin.signature, plugin.path,
                   plugin.reason});
  }
  write_out(table.text());
  return {};
}

Status print_switched(const PluginOptions& options, const std::string& status,
                      bool changed) {
  if (options.json) {
    const bool is_off = status == "disabled";
    return print_json(
        is_off ? "plugin disable" : "plugin enable",
        {{"plugin", options.plugin}, {"status", status}, {"changed", changed}});
  }
  write_out(fmt::format("{} is {}{}\n", options.plugin, status,
                        changed ? "" : " already"));
  return {};
}

Status set_disabled(const PluginOptions& options, bool disabled) {
  const std::string& name = options.plugin;
  const char* const status = disabled ? "disabled" : "enabled";
  const PluginRecords records = user_plugin_records();
  PluginRecord record = records.find(name);
  if (record.disabled == disabled) {
    const Result<std::string> manifest = find_manifest(name);
    TSR_RETURN_IF_ERROR(manifest.status());
    return print_switched(options, status, false);
  }
  if (disabled) TSR_RETURN_IF_ERROR(find_manifest(name).status());
  record.disabled = disabled;
  TSR_RETURN_IF_ERROR(records.save(record));
  return print_switched(options, status, true);
}

Status run_plugin(const CLI::App& plugin, const PluginOptions& options) {
  if (plugin.got_subcommand("enable")) {
    return set_disabled(options, false);
  }
  if (plugin.got_subcommand("disable")) {
    return set_disabled(options, true);
  }
  if (plugin.got_subcommand("list")) return run_list(options);
  return run_signing(plugin, options);
}

}  // namespace

Command add_plugin_command(CLI::App& tessera) {
  CLI::App* plugin = tessera.add_subcommand(
      "plugin", "Show plugins, switch them off, sign and verify them");
  plugin->require_subcommand(1);
  auto options = std::make_shared<PluginOptions>();
  plugin->add_subcommand("list", "Show plugins and who signed them");
  add_plugin(*plugin->add_subcommand("enable", "Let a plugin load again"),
             *options);
  add_plugin(*plugin->add_subcommand("disable", "Never load a plugin"),
             *options);
  add_signing_commands(*plugin, *options);
  for (CLI::App* app : plugin->get_subcommands(nullptr)) {
    add_json_option(*app, options->json);
  }
  plugin->footer(
      "Examples:\n"
      "  tessera plugin disable opencl\n"
      "  tessera plugin sign ./tsr_plugin_mine.json --key mine.pem");
  return {plugin, [plugin, options] { return run_plugin(*plugin, *options); }};
}

}  // namespace tessera::cli
