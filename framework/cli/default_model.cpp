// SPDX-License-Identifier: Apache-2.0

#include "framework/cli/default_model.hpp"

#include <fmt/format.h>

#include <array>
#include <filesystem>

#include "framework/host/trust.hpp"

namespace tessera::cli {

Result<std::string> default_model_folder() {
  namespace fs = std::filesystem;
  constexpr const char* kName = "tessera-5m";
  const fs::path executable = executable_folder();
  const std::array<fs::path, 2> folders = {
      (executable / ".." / "share" / "tessera" / "models" / kName)
          .lexically_normal(),
      fs::path(TSR_MODELS_FOLDER) / kName};
  for (const fs::path& folder : folders) {
    std::error_code code;
    if (fs::is_directory(folder, code)) return folder.string();
  }
  return Status(TSR_NOT_FOUND,
                fmt::format("no default model at {} or {}: name a MODEL folder",
                            folders[0].string(), folders[1].string()));
}

}  // namespace tessera::cli
