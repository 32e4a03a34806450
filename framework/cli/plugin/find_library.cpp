// SPDX-License-Identifier: Apache-2.0

#include "framework/cli/plugin/find_library.hpp"

#include <fmt/format.h>

#include <filesystem>

#include "framework/host/loading/search_path.hpp"

namespace tessera::cli {

Result<std::string> find_library(const std::string& plugin) {
  std::error_code code;
  const bool is_path = plugin.find('/') != std::string::npos ||
                       std::filesystem::is_regular_file(plugin, code);
  if (is_path) {
    const std::filesystem::path path(plugin);
    if (path.extension() != ".json") return plugin;
    return std::filesystem::path(path).replace_extension(".so").string();
  }
  for (const std::string& folder : plugin_search_path()) {
    std::string path = fmt::format("{}/tsr_plugin_{}.so", folder, plugin);
    if (std::filesystem::is_regular_file(path, code)) return path;
  }
  return Status(TSR_NOT_FOUND,
                "no plugin " + plugin +
                    ": give its name, as tessera devices shows it, or the "
                    "path of a library");
}

}  // namespace tessera::cli
