// SPDX-License-Identifier: Apache-2.0
//
// tessera plugin: which plugins are here, which may run, and who vouches for
// them.

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <memory>
#include <string>

#include "framework/base/atomic_file.hpp"
#include "framework/base/mapped_file.hpp"
#include "framework/cli/command.hpp"
#include "framework/cli/console.hpp"
#include "framework/cli/json_output.hpp"
#include "framework/cli/table.hpp"
#include "framework/cli/target_options.hpp"
#include "framework/host/loading/plugin_records.hpp"
#include "framework/host/loading/search_path.hpp"
#include "framework/host/loading/verified_library.hpp"
#include "framework/host/signing/key_list.hpp"
#include "framework/host/signing/signature.hpp"
#include "framework/host/signing/signed_manifest.hpp"
#include "framework/host/trust/sha256.hpp"

namespace tessera::cli {
namespace {

struct PluginOptions {
  std::string plugin;
  std::string key;   // a file
  std::string keys;  // a list
  bool json = false;
};

Result<std::string> read_text(const std::string& path) {
  TSR_ASSIGN_OR_RETURN(const MappedFile file, MappedFile::open(path));
  return std::string(reinterpret_cast<const char*>(file.bytes().data()),
                     file.bytes().size());
}

// The manifest of a plugin given by its name, its manifest or its library.
Result<std::string> find_manifest(const std::string& plugin) {
  std::error_code code;
  if (plugin.find('/') != std::string::npos ||
      std::filesystem::is_regular_file(plugin, code)) {
    return std::filesystem::absolute(
               std::filesystem::path(plugin).replace_extension(".json"), code)
        .string();
  }
  for (const std::string& folder : plugin_search_path()) {
    std::string path = fmt::format("{}/tsr_plugin_{}.json", folder, plugin);
    if (std::filesystem::is_regular_file(path, code)) return path;
  }
  return Status(TSR_NOT_FOUND, "no plugin " + plugin +
                                   ": give its name, as tessera plugin list "
                                   "shows it, or the path of its manifest");
}

std::string signer_text(const Signer& signer) {
  if (signer.public_key.empty()) return "not signed";
  if (!signer.name.empty()) return "signed by " + signer.name;
  return "signed by unknown key " + signer.public_key.substr(0, 16);
}

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

// Nobody signs for a library that is not the manifest's.
Status check_library(const std::string& manifest_path,
                     const Manifest& manifest) {
  const std::string library =
      std::filesystem::path(manifest_path).parent_path() / manifest.library;
  const FileDescriptor fd(open(library.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.is_open()) {
    return {TSR_NOT_FOUND, library + ": " + std::strerror(errno)};
  }
  TSR_ASSIGN_OR_RETURN(const std::string sha256, sha256_of_file(fd.get()));
  if (sha256 == manifest.sha256) return {};
  return {TSR_DATA_LOSS, library + ": sha256 is " + sha256 +
                             ", the manifest says " + manifest.sha256};
}

Status run_sign(const PluginOptions& options) {
  TSR_ASSIGN_OR_RETURN(const std::string path, find_manifest(options.plugin));
  TSR_ASSIGN_OR_RETURN(const std::string text, read_text(path));
  TSR_ASSIGN_OR_RETURN(const Manifest manifest,
                       parse_manifest(text).annotate(path));
  TSR_RETURN_IF_ERROR(check_library(path, manifest));
  TSR_ASSIGN_OR_RETURN(const std::string key,
                       read_text(options.key).annotate("--key"));
  TSR_ASSIGN_OR_RETURN(const Signature signature,
                       sign_text(text, key).annotate(options.key));
  TSR_RETURN_IF_ERROR(
      write_file_atomically(signature_path(path), signature_text(signature)));
  if (options.json) {
    return print_json("plugin sign", {{"plugin", options.plugin},
                                      {"signature", signature_path(path)},
                                      {"key", signature.public_key}});
  }
  write_out(
      fmt::format("{}\nkey {}\n", signature_path(path), signature.public_key));
  return {};
}

// As loading would check it, with the key lists of this machine or another.
Status run_verify(const PluginOptions& options) {
  TSR_ASSIGN_OR_RETURN(const std::string path, find_manifest(options.plugin));
  KeyList keys;
  if (options.keys.empty()) {
    TSR_ASSIGN_OR_RETURN(keys, trusted_keys());
  } else {
    TSR_ASSIGN_OR_RETURN(keys, read_key_list(options.keys).annotate("--keys"));
  }
  TSR_ASSIGN_OR_RETURN(const VerifiedLibrary library,
                       verify_library(path, keys));
  const bool is_trusted = !library.signer.name.empty();
  if (options.json) {
    TSR_RETURN_IF_ERROR(
        print_json("plugin verify", {{"plugin", options.plugin},
                                     {"library", library.file.path},
                                     {"signature", signer_text(library.signer)},
                                     {"trusted", is_trusted}}));
  } else {
    write_out(fmt::format("{}: {}\n", library.file.path,
                          signer_text(library.signer)));
  }
  if (is_trusted) return {};
  return {TSR_FAILED_PRECONDITION,
          path + ": no signature of a listed key; the hash fits"};
}

// Readable by this user alone, and never over another key.
Status run_make_key(const PluginOptions& options) {
  TSR_ASSIGN_OR_RETURN(const KeyPair pair, make_key_pair());
  const FileDescriptor fd(
      open(options.key.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (!fd.is_open()) {
    return {TSR_FAILED_PRECONDITION, options.key + ": " + std::strerror(errno)};
  }
  const ssize_t written =
      write(fd.get(), pair.private_key.data(), pair.private_key.size());
  if (written != static_cast<ssize_t>(pair.private_key.size())) {
    return {TSR_FAILED_PRECONDITION, options.key + ": cannot be written"};
  }
  if (options.json) {
    return print_json("plugin make-key",
                      {{"file", options.key}, {"key", pair.public_key}});
  }
  write_out(fmt::format("key {} NAME\n", pair.public_key));
  return {};
}

CLI::Option* add_plugin(CLI::App& app, PluginOptions& options) {
  return app
      .add_option("PLUGIN", options.plugin,
                  "Name of a plugin, or path of its manifest")
      ->required();
}

void add_signing(CLI::App& plugin, PluginOptions& options) {
  CLI::App* sign = plugin.add_subcommand(
      "sign", "Write an Ed25519 signature beside a plugin's manifest");
  add_plugin(*sign, options);
  sign->add_option("--key", options.key, "Private key in PEM")
      ->required()
      ->check(CLI::ExistingFile)
      ->type_name("FILE");
  CLI::App* verify = plugin.add_subcommand(
      "verify", "Check hash and signature of a plugin as loading does");
  add_plugin(*verify, options);
  verify
      ->add_option("--keys", options.keys,
                   "Key list in place of this machine's; docs/isolation.md "
                   "has its lines")
      ->type_name("FILE");
  CLI::App* make_key = plugin.add_subcommand(
      "make-key", "Make a private key, and print its line for key lists");
  make_key
      ->add_option("FILE", options.key, "Where the key goes; must not exist")
      ->required();
}

Status run_plugin(const CLI::App& plugin, const PluginOptions& options) {
  if (plugin.got_subcommand("enable")) {
    return set_disabled(options, false);
  }
  if (plugin.got_subcommand("disable")) {
    return set_disabled(options, true);
  }
  if (plugin.got_subcommand("sign")) return run_sign(options);
  if (plugin.got_subcommand("verify")) return run_verify(options);
  if (plugin.got_subcommand("make-key")) return run_make_key(options);
  return run_list(options);
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
  add_signing(*plugin, *options);
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
