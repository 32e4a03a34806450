// SPDX-License-Identifier: Apache-2.0
//
// Recipes as YAML files: ours (docs/recipes.md) and msModelSlim's.

#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "framework/base/status.hpp"
#include "framework/quant/recipe/recipe.hpp"

namespace tessera::quant {

// What the file leaves open is empty or 0.
struct CalibrationOptions {
  std::string text;  // path; a relative one is taken from the recipe's folder
  uint32_t max_tokens = 0;
  uint32_t context = 0;
};

struct OutputOptions {
  std::string format = "auto";  // or msmodelslim, compressed-tensors, gguf
};

struct RecipeFile {
  Recipe recipe;
  CalibrationOptions calibration;
  OutputOptions output;
  // What of a foreign file has no meaning here, a line each: its place, value
  // and why.
  std::vector<std::string> ignored;
};

// Reads a recipe.  A file with apiversion, metadata or spec at its top is
// msModelSlim's.
//
// Errors  those of MappedFile::open; INVALID_ARGUMENT, naming file, line and
//         key, for what parse_yaml refuses, unknown keys (with the nearest
//         known one), and values of a wrong type or range
//         of msModelSlim's files only what asks for a precision that we have
//         not is an error
Result<RecipeFile> read_recipe(const std::string& path);

// The same of a file's text; `path` is for messages and relative paths.
Result<RecipeFile> parse_recipe(std::string_view text, const std::string& path);

// The file that a name means: a path that exists, or with or without .yaml a
// recipe beside the executable in an installation, else in the source tree that
// this program was built from.
//
// Errors  NOT_FOUND, naming the recipes there are
Result<std::string> find_recipe(const std::string& name);

// Names of the shipped recipes, sorted; none if their folder is not found.
std::vector<std::string> recipe_names();

}  // namespace tessera::quant
