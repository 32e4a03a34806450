// SPDX-License-Identifier: Apache-2.0
//
// The other direction: a recipe as the text of a file.

#pragma once

#include <string>

#include "framework/quant/recipe/recipe_file.hpp"

namespace tessera::quant {

// YAML as docs/recipes.md describes it; parse_recipe() gives the recipe back.
// Sections that the scheme does not read, and what is as it is without being
// said, are left out.  `calibration.text` is written as it stands.
std::string recipe_text(const RecipeFile& file);

}  // namespace tessera::quant
