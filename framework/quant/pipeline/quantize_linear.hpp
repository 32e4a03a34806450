// SPDX-License-Identifier: Apache-2.0
//
// One linear from floats to the planes of its scheme.

#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "framework/base/status.hpp"
#include "framework/format/scheme.hpp"
#include "framework/format/weight.hpp"
#include "framework/quant/block/decoder_block.hpp"
#include "framework/quant/pipeline/calibrator.hpp"
#include "framework/quant/recipe/recipe.hpp"
#include "framework/quant/weights/weight_error.hpp"

namespace tessera::quant {

// What rounding in the scheme's grids needs to know.
format::WeightScheme weight_scheme_of(const Scheme& scheme);

// True for I8, U8, I4 and U4.
bool is_integer_scheme(const Scheme& scheme);

// True if weights of that scheme are rounded with a factor where there is one.
bool uses_factor(const Scheme& scheme);

// Why a weight with K columns cannot have this scheme; empty if it can.
std::string misfit(const Scheme& scheme, uint32_t K);

struct LinearTask {
  const FloatLinear& linear;
  const Scheme& scheme;
  const Recipe& recipe;
  const CapturedInput* input;  // null without calibration
  const GptqFactor* factor;    // null unless needs_hessian(recipe)
  // Mean squared inputs by column, for the encoders of GGUF formats; or empty.
  std::span<const float> importance = {};
};

struct QuantizedLinear {
  format::WeightData weight;
  WeightError error;
};

// Errors  INVALID_ARGUMENT if the scheme cannot hold a weight of this shape, or
//         FAILED_PRECONDITION if it needs calibration and there is none; those
//         of the encoders
Result<QuantizedLinear> quantize_linear(const LinearTask& task,
                                        const ParallelFor& run);

// The values of a weight, [N, K], each column at its input feature.
//
// Errors  those of reference::Weight::open
Result<std::vector<float>> decode_values(const format::WeightData& weight,
                                         const ParallelFor& run);

}  // namespace tessera::quant
