// SPDX-License-Identifier: Apache-2.0
//
// The two readers behind recipe_file.hpp.

#pragma once

#include <string>
#include <string_view>

#include "framework/base/status.hpp"
#include "framework/quant/recipe/recipe_file.hpp"
#include "framework/quant/recipe/yaml_tree.hpp"

namespace tessera::quant {

// Files of docs/recipes.md.
// Errors: INVALID_ARGUMENT, naming line and key.
Result<RecipeFile> read_own_recipe(const YamlNode& root);

// Files of msModelSlim, modelslim_v0 (anti_cfg, calib_cfg, ...) and
// modelslim_v1 (a list of processors).
//
// Errors  INVALID_ARGUMENT, naming line and key, for wrong types and for
//         precisions and selections of layers that have no counterpart
// Source  lab_practice/ of msModelSlim
Result<RecipeFile> read_msmodelslim(const YamlNode& root);

// spec.process of modelslim_v1, into `file`.
Status read_msmodelslim_process(const YamlNode& process, RecipeFile& file);

// "spec.calib_cfg.mm_tensor False: weights have a scale per row here".
void ignore_field(const YamlNode& node, const std::string& name,
                  std::string_view why, RecipeFile& file);

// L5 or 5.
Result<uint32_t> read_disable_level(const YamlNode& node,
                                    const std::string& name);

// The scheme of that name, or "float", which keeps what is in the file.
Result<std::string> find_scheme_or_float(std::string_view name);

}  // namespace tessera::quant
