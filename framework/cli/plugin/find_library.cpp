// SPDX-License-Identifier: Apache-2.0

#include "framework/cli/plugin/find_library.hpp"

#include <fmt/format.h>

#include <filesystem>

#include "framework/host/loading/search_path.hpp"

namespace tessera::cli {

namespace {

namespace fs = std::filesystem;

bool is_path(const std::string& plugin) {
  std::error_code code;
  return plugin.find('/') != std::string::npos ||
         fs::is_regular_file(plugin, code);
}

// Where plugins are found.
Result<std::string> search(const std::string& plugin, const char* extension) {
  std::error_code code;
  for (const std::string& folder : plugin_search_path()) {
    std::string path =
        fmt::format("{}/tsr_plugin_{}{}", folder, plugin, extension);
    if (fs::is_regular_file(path, code)) return path;
  }
  return Status(TSR_NOT_FOUND,
                "no plugin " + plugin +
                    ": give its name, as tessera plugin list shows it, or the "
                    "path of its library or manifest");
}

}  // namespace

Result<std::string> find_library(const std::string& plugin) {
  if (!is_path(plugin)) return search(plugin, ".so");
  const fs::path path(plugin);
  if (path.extension() != ".json") return plugin;
  return fs::path(path).replace_extension(".so").string();
}

Result<std::string> find_manifest(const std::string& plugin) {
  if (!is_path(plugin)) return search(plugin, ".json");
  std::error_code code;
  return fs::absolute(fs::path(plugin).replace_extension(".json"), code)
      .string();
}

}  // namespace tessera::cli
