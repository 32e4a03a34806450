// SPDX-License-Identifier: Apache-2.0
//
// What to do to a model, as plain values.

#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "framework/quant/activations/static_activation.hpp"
#include "framework/quant/fallback/fallback.hpp"
#include "framework/quant/fallback/sensitivity.hpp"
#include "framework/quant/outliers/smooth.hpp"
#include "framework/quant/sparsity/importance.hpp"
#include "framework/quant/sparsity/sparsify.hpp"
#include "framework/quant/weights/clip_search.hpp"
#include "framework/quant/weights/gptq.hpp"

namespace tessera::quant {

// How codes are chosen within the scales of an integer format.  Other formats
// round to nearest by their own rule.
enum class WeightMethod {
  kNearest,  // with clip.num_steps > 0, scales of least error
  kGptq,
};

// What is done about channels with large activations, before any rounding.
enum class OutlierMethod {
  kNone,
  kSmoothQuant,      // m1, m2: norms and what follows them
  kAwq,              // m3: searched on the outputs' error; norms, v-o, up-down
  kIterativeSmooth,  // m4: all subgraphs
  kFlexSmooth,       // m6: all subgraphs, exponents searched
};

struct OutlierOptions {
  OutlierMethod method = OutlierMethod::kNone;
  SmoothExponents exponents;        // kSmoothQuant, kIterativeSmooth
  std::vector<Subgraph> subgraphs;  // empty: those of the method
};

struct SparsityOptions {
  double zero_fraction = 0.0;  // of the weights, set to zero before rounding
  // Of the schemes w8a8s and w8a8sc; half a bit a weight would be scales where
  // rows are short, were they F32.
  ProtectOptions protect = {.scale_dtype = TSR_F16};
  Importance importance = Importance::kMagnitude;
};

struct Recipe {
  // schemes.default_scheme is the scheme; a layer in fallback keeps the
  // floats of the file unless fallback_scheme names something else.
  SchemeRules schemes;
  SensitivityMetric metric = SensitivityMetric::kKurtosis;
  WeightMethod weights = WeightMethod::kNearest;
  GptqOptions gptq;
  ClipSearch clip;
  // Turn the residual stream and the value heads first, by matrices of this
  // seed; the head is tied to the embedding no more.
  std::optional<uint32_t> rotation_seed;
  OutlierOptions outliers;
  SparsityOptions sparsity;
  RangeOptions activations;    // of static schemes
  uint32_t search_rows = 512;  // of calibration, for searched scales
};

// "nearest" and "gptq".
// Errors: INVALID_ARGUMENT, naming them.
Result<WeightMethod> find_weight_method(std::string_view name);

// "magnitude", "wanda" and "sparsegpt".
// Errors: INVALID_ARGUMENT, naming them.
Result<Importance> find_importance(std::string_view name);

// True if the recipe reads Hessians: GPTQ, and SparseGPT's importance.
bool needs_hessian(const Recipe& recipe);

// "none", "smooth_quant", "awq", "iterative_smooth" and "flex_smooth", or m1 to
// m4 and m6 as msModelSlim calls them.
// Errors: INVALID_ARGUMENT, naming them.
Result<OutlierMethod> find_outlier_method(std::string_view name);

}  // namespace tessera::quant
