// SPDX-License-Identifier: Apache-2.0

#include "framework/quant/recipe/recipe_file.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <filesystem>

#include "framework/base/mapped_file.hpp"
#include "framework/host/trust/trust.hpp"
#include "framework/quant/recipe/recipe_fields.hpp"
#include "framework/quant/recipe/yaml_fields.hpp"

namespace tessera::quant {
namespace {

namespace fs = std::filesystem;

constexpr const char* kSuffix = ".yaml";

bool is_msmodelslim(const YamlNode& root) {
  for (const char* key : {"apiversion", "metadata", "spec"}) {
    if (find_field(root, key) != nullptr) return true;
  }
  return false;
}

// The first that exists of the folders of shipped recipes; empty if none does.
fs::path recipe_folder() {
  const std::array<fs::path, 2> folders = {
      (fs::path(executable_folder()) / ".." / "share" / "tessera" / "recipes")
          .lexically_normal(),
      fs::path(TSR_RECIPES_FOLDER)};
  for (const fs::path& folder : folders) {
    std::error_code code;
    if (fs::is_directory(folder, code)) return folder;
  }
  return {};
}

// Names become paths, so they hold no separators.
bool is_plain_name(std::string_view name) {
  return !name.empty() && name.find_first_of("/\\") == std::string_view::npos;
}

}  // namespace

Result<RecipeFile> parse_recipe(std::string_view text,
                                const std::string& path) {
  const auto read = [text]() -> Result<RecipeFile> {
    TSR_ASSIGN_OR_RETURN(const YamlNode root, parse_yaml(text));
    return is_msmodelslim(root) ? read_msmodelslim(root)
                                : read_own_recipe(root);
  };
  TSR_ASSIGN_OR_RETURN(RecipeFile file, read().annotate(path));
  const fs::path calibration(file.calibration.text);
  if (calibration.is_relative() && !calibration.empty()) {
    file.calibration.text = (fs::path(path).parent_path() / calibration)
                                .lexically_normal()
                                .string();
  }
  return file;
}

Result<RecipeFile> read_recipe(const std::string& path) {
  TSR_ASSIGN_OR_RETURN(const MappedFile file, MappedFile::open(path));
  const auto bytes = file.bytes();
  return parse_recipe(
      {reinterpret_cast<const char*>(bytes.data()), bytes.size()}, path);
}

std::vector<std::string> recipe_names() {
  std::vector<std::string> names;
  std::error_code code;
  for (fs::directory_iterator entry(recipe_folder(), code), end;
       !code && entry != end; entry.increment(code)) {
    if (entry->path().extension() == kSuffix) {
      names.push_back(entry->path().stem().string());
    }
  }
  std::sort(names.begin(), names.end());
  return names;
}

Result<std::string> find_recipe(const std::string& name) {
  std::error_code code;
  if (fs::is_regular_file(name, code)) return name;
  if (is_plain_name(name)) {
    fs::path path = recipe_folder() / name;
    if (path.extension() != kSuffix) path += kSuffix;
    if (fs::is_regular_file(path, code)) return path.string();
  }
  std::string names;
  for (const std::string& known : recipe_names()) names += " " + known;
  return Status(
      TSR_NOT_FOUND,
      fmt::format("recipe {}: neither a file nor one of{}", name, names));
}

}  // namespace tessera::quant
