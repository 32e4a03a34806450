// SPDX-License-Identifier: Apache-2.0

#include "framework/session/default_model.hpp"

#include <fmt/format.h>

#include <array>
#include <filesystem>

#include "framework/host/trust/trust.hpp"
#include "framework/session/library_folder.hpp"

namespace tessera {

Result<std::string> default_model_folder() {
  namespace fs = std::filesystem;
  constexpr const char* kName = "tessera-5m";
  const fs::path program = executable_folder();
  const fs::path library = library_folder();
  const std::array<fs::path, 3> folders = {
      (program / ".." / "share" / "tessera" / "models" / kName)
          .lexically_normal(),
      (library / ".." / "share" / "tessera" / "models" / kName)
          .lexically_normal(),
      fs::path(TSR_MODELS_FOLDER) / kName};
  for (const fs::path& folder : folders) {
    std::error_code code;
    if (fs::is_directory(folder, code)) return folder.string();
  }
  return Status(TSR_NOT_FOUND,
                fmt::format("no default model at {} or {}: name a MODEL folder",
                            folders[0].string(), folders[2].string()));
}

}  // namespace tessera
