// SPDX-License-Identifier: Apache-2.0

#include "backends/opencl/runtime/driver_files.hpp"

#include <stdlib.h>

#include <algorithm>
#include <filesystem>
#include <system_error>

namespace tessera::opencl {
namespace {

namespace fs = std::filesystem;

constexpr const char* kVariable = "OCL_ICD_VENDORS";

std::string variable(const char* name) {
  const char* value = getenv(name);
  return value == nullptr ? "" : value;
}

// A folder, or one file, as the loader reads its variables.
std::string place_of_drivers() {
  for (const char* name : {kVariable, "OPENCL_VENDOR_PATH"}) {
    std::string value = variable(name);
    if (!value.empty()) return value;
  }
  return "/etc/OpenCL/vendors";
}

}  // namespace

std::vector<DriverFile> driver_files() {
  const fs::path place = place_of_drivers();
  std::vector<DriverFile> files;
  std::error_code error;
  if (fs::is_regular_file(place, error)) {
    return {{place.string(), place.filename().string()}};
  }
  for (fs::directory_iterator entry(place, error), end; !error && entry != end;
       entry.increment(error)) {
    if (entry->path().extension() != ".icd") continue;
    files.push_back(
        {entry->path().string(), entry->path().filename().string()});
  }
  std::sort(
      files.begin(), files.end(),
      [](const DriverFile& a, const DriverFile& b) { return a.name < b.name; });
  return files;
}

OnlyTheseDrivers::OnlyTheseDrivers(const std::vector<DriverFile>& files)
    : former_(variable(kVariable)), had_former_(getenv(kVariable) != nullptr) {
  std::error_code error;
  std::string folder =
      (fs::temp_directory_path(error) / "tessera-opencl-XXXXXX").string();
  if (mkdtemp(folder.data()) == nullptr) return;
  folder_ = folder;
  for (const DriverFile& file : files) {
    fs::copy_file(file.path, fs::path(folder_) / file.name, error);
  }
  setenv(kVariable, folder_.c_str(), 1);
}

OnlyTheseDrivers::~OnlyTheseDrivers() {
  if (folder_.empty()) return;
  if (had_former_) {
    setenv(kVariable, former_.c_str(), 1);
  } else {
    unsetenv(kVariable);
  }
  std::error_code error;
  fs::remove_all(folder_, error);
}

}  // namespace tessera::opencl
