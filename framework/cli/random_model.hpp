// SPDX-License-Identifier: Apache-2.0
//
// A model of the shape that people run, without its files: what a device takes
// for it does not depend on what the weights are.

#pragma once

#include <CLI/App.hpp>
#include <string>

#include "framework/base/status.hpp"
#include "framework/cli/loaded_model.hpp"

namespace tessera::cli {

// The preset's layers with random weights in BF16, made as they are asked for.
// Its tokenizer is the default model's and means nothing.
//
// Errors  INVALID_ARGUMENT, naming the presets that there are; those of opening
//         the default model
Result<LoadedModel> random_model(const std::string& preset);

// Adds --preset, which excludes MODEL.
//
// Requires  add_model_option()
CLI::Option* add_preset_option(CLI::App& command, std::string& preset);

}  // namespace tessera::cli
