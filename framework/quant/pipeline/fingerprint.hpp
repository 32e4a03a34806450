// SPDX-License-Identifier: Apache-2.0
//
// Tells runs apart that would not give the same result.

#pragma once

#include <string>

#include "framework/quant/pipeline/quantize_model.hpp"
#include "framework/quant/recipe/recipe.hpp"

namespace tessera::quant {

// Of the recipe, the calibration texts, the device, the shape of the model and
// some of its numbers: a changed file should be told by its time as well.
std::string run_fingerprint(const QuantizeInputs& inputs, const Recipe& recipe);

}  // namespace tessera::quant
