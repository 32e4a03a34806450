// SPDX-License-Identifier: Apache-2.0
//
// Searches a recipe that meets a tolerance, stage by stage, each starting from
// the best of the one before.

#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "framework/base/status.hpp"
#include "framework/quant/recipe/recipe.hpp"

namespace tessera {

// In the order that msModelSlim's guide asks for.
enum class TuneStage {
  kWeights,      // nearest, searched scales, GPTQ
  kOutliers,     // smoothing and its exponents
  kActivations,  // range rules of static schemes
  kCalibration,  // more text
  kFallback,     // the fewest layers in floats
};

std::string_view tune_stage_name(TuneStage stage);

// "weights,outliers,activations,calibration,fallback" or any part of it in any
// order.
// Errors: INVALID_ARGUMENT for an unknown stage or one that comes twice.
Result<std::vector<TuneStage>> parse_tune_stages(std::string_view text);

// A recipe and how much text it is calibrated on.
struct TunePoint {
  quant::Recipe recipe;
  uint32_t calibration_tokens = 0;
};

struct TuneOptions {
  double tolerance = 0.0;  // met if the score is at most this
  std::vector<TuneStage> stages = {
      TuneStage::kWeights, TuneStage::kOutliers, TuneStage::kActivations,
      TuneStage::kCalibration, TuneStage::kFallback};
  uint32_t max_calibration_tokens = 0;  // that there are
  uint32_t max_fallback_evaluations = 16;
  // Linears by descending sensitivity, for the last stage.
  std::function<Result<std::vector<std::string>>(const TunePoint& best)>
      rank_layers;
};

// The model's score under a point, on the *select* split; smaller is better.
using ScorePoint = std::function<Result<double>(const TunePoint& point)>;

// One candidate.
struct TuneStep {
  TuneStage stage;
  std::string change;  // "method: gptq"
  double score = 0.0;
  double gain = 0.0;  // what it lowers the best score so far by; may be < 0
  bool kept = false;
};

struct TuneResult {
  TunePoint best;
  double start_score = 0.0;
  double score = 0.0;
  bool met = false;
  std::vector<TuneStep> steps;
};

// Stops at the first point that meets the tolerance.  Only what lowers the
// score is kept.  A candidate that cannot be had for this model (its score
// fails with INVALID_ARGUMENT or UNIMPLEMENTED) is a step with an infinite
// score.
//
// Errors  those of `score` and `rank_layers`; INVALID_ARGUMENT if the tolerance
//         is not a number of at least 0
Result<TuneResult> tune_recipe(
    const TunePoint& start, const TuneOptions& options, const ScorePoint& score,
    const std::function<void(const TuneStep& step)>& on_step);

}  // namespace tessera
