// SPDX-License-Identifier: Apache-2.0

#include "framework/tuning/tune_recipe.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "framework/quant/fallback/fallback_search.hpp"
#include "framework/quant/pipeline/quantize_linear.hpp"

namespace tessera {
namespace {

using quant::OutlierMethod;
using quant::RangeRule;
using quant::Recipe;
using quant::WeightMethod;

struct StageName {
  TuneStage stage;
  std::string_view name;
};
constexpr StageName kStages[] = {
    {TuneStage::kWeights, "weights"},
    {TuneStage::kOutliers, "outliers"},
    {TuneStage::kActivations, "activations"},
    {TuneStage::kCalibration, "calibration"},
    {TuneStage::kFallback, "fallback"},
};

struct Candidate {
  std::string change;
  TunePoint point;
};

class Tuner {
 public:
  Tuner(const TunePoint& start, const TuneOptions& options,
        const ScorePoint& score,
        const std::function<void(const TuneStep& step)>& on_step)
      : options_(options), score_(score), on_step_(on_step) {
    result_.best = start;
  }

  Result<TuneResult> run() {
    if (!(options_.tolerance >= 0.0)) {
      return Status(TSR_INVALID_ARGUMENT,
                    fmt::format("tolerance {} is not a number of at least 0",
                                options_.tolerance));
    }
    TSR_ASSIGN_OR_RETURN(result_.start_score, score_(result_.best));
    result_.score = result_.start_score;
    for (const TuneStage stage : options_.stages) {
      if (is_met()) break;
      if (stage == TuneStage::kFallback) {
        TSR_RETURN_IF_ERROR(fall_back());
      } else {
        TSR_RETURN_IF_ERROR(try_all(stage));
      }
    }
    result_.met = is_met();
    return std::move(result_);
  }

 private:
  bool is_met() const { return result_.score <= options_.tolerance; }

  Status try_all(TuneStage stage) {
    for (Candidate& candidate : candidates(stage)) {
      double score = std::numeric_limits<double>::infinity();
      Result<double> scored = score_(candidate.point);
      if (scored.ok()) {
        score = *scored;
      } else if (scored.status().code() != TSR_INVALID_ARGUMENT &&
                 scored.status().code() != TSR_UNIMPLEMENTED) {
        return std::move(scored).status().annotate(candidate.change);
      }
      keep_if_better(stage, std::move(candidate), score);
      if (is_met()) break;
    }
    return {};
  }

  void keep_if_better(TuneStage stage, Candidate candidate, double score) {
    TuneStep step{stage, std::move(candidate.change), score,
                  result_.score - score, score < result_.score};
    if (step.kept) {
      result_.best = std::move(candidate.point);
      result_.score = score;
    }
    on_step_(step);
    result_.steps.push_back(std::move(step));
  }

  // ---- What each stage tries, from the best point so far --------------------

  std::vector<Candidate> candidates(TuneStage stage) const {
    switch (stage) {
      case TuneStage::kWeights:
        return weight_candidates();
      case TuneStage::kOutliers:
        return outlier_candidates();
      case TuneStage::kActivations:
        return activation_candidates();
      case TuneStage::kCalibration:
        return calibration_candidates();
      case TuneStage::kFallback:
        break;
    }
    return {};
  }

  template <typename Change>
  void add(std::vector<Candidate>& list, std::string change,
           const Change& apply) const {
    Candidate candidate{std::move(change), result_.best};
    apply(candidate.point.recipe);
    list.push_back(std::move(candidate));
  }

  std::vector<Candidate> weight_candidates() const {
    std::vector<Candidate> list;
    add(list, "method nearest, scales of least error", [](Recipe& recipe) {
      recipe.weights = WeightMethod::kNearest;
      recipe.clip.num_steps = 20;
    });
    add(list, "method gptq",
        [](Recipe& recipe) { recipe.weights = WeightMethod::kGptq; });
    add(list, "method gptq, act_order", [](Recipe& recipe) {
      recipe.weights = WeightMethod::kGptq;
      recipe.gptq.act_order = true;
    });
    return list;
  }

  std::vector<Candidate> outlier_candidates() const {
    std::vector<Candidate> list;
    for (const double alpha : {0.5, 0.75, 0.9}) {
      add(list, fmt::format("iterative_smooth, alpha {}", alpha),
          [alpha](Recipe& recipe) {
            recipe.outliers.method = OutlierMethod::kIterativeSmooth;
            recipe.outliers.exponents = {alpha, 1.0 - alpha};
          });
    }
    add(list, "flex_smooth", [](Recipe& recipe) {
      recipe.outliers.method = OutlierMethod::kFlexSmooth;
    });
    add(list, "awq",
        [](Recipe& recipe) { recipe.outliers.method = OutlierMethod::kAwq; });
    return list;
  }

  std::vector<Candidate> activation_candidates() const {
    std::vector<Candidate> list;
    const Result<Scheme> scheme =
        find_scheme(result_.best.recipe.schemes.default_scheme);
    if (!scheme.ok() || !has_static_activations(scheme->act_quant)) return list;
    add(list, "asymmetric codes", [](Recipe& recipe) {
      recipe.activations.codes = quant::ActivationCodes::kAsymmetricS8;
    });
    for (const char* rule : {"mse", "histogram", "percentile", "entropy"}) {
      for (const auto codes : {quant::ActivationCodes::kSymmetricS8,
                               quant::ActivationCodes::kAsymmetricS8}) {
        const bool symmetric = codes == quant::ActivationCodes::kSymmetricS8;
        add(list,
            fmt::format("range {}, {}symmetric", rule, symmetric ? "" : "a"),
            [rule, codes](Recipe& recipe) {
              recipe.activations.rule = *quant::find_range_rule(rule);
              recipe.activations.codes = codes;
            });
      }
    }
    return list;
  }

  std::vector<Candidate> calibration_candidates() const {
    std::vector<Candidate> list;
    uint64_t tokens = result_.best.calibration_tokens;
    while (tokens < options_.max_calibration_tokens) {
      tokens = std::min<uint64_t>(tokens * 2, options_.max_calibration_tokens);
      Candidate candidate{fmt::format("{} calibration tokens", tokens),
                          result_.best};
      candidate.point.calibration_tokens = static_cast<uint32_t>(tokens);
      list.push_back(std::move(candidate));
    }
    return list;
  }

  // ---- Fallback
  // ---------------------------------------------------------------

  TunePoint without(const std::vector<std::string>& names) const {
    TunePoint point = result_.best;
    auto& disabled = point.recipe.schemes.disable_names;
    disabled.insert(disabled.end(), names.begin(), names.end());
    return point;
  }

  Status fall_back() {
    if (!options_.rank_layers) return {};
    TSR_ASSIGN_OR_RETURN(const std::vector<std::string> ranking,
                         options_.rank_layers(result_.best));
    const quant::FallbackSearch search{options_.tolerance,
                                       options_.max_fallback_evaluations};
    TSR_ASSIGN_OR_RETURN(
        const quant::FallbackSet found,
        quant::search_fallback(search, ranking,
                               [this](const std::vector<std::string>& names) {
                                 return score_(without(names));
                               }));
    keep_if_better(TuneStage::kFallback,
                   {fmt::format("{} layers in fallback", found.names.size()),
                    without(found.names)},
                   found.score);
    return {};
  }

  const TuneOptions& options_;
  const ScorePoint& score_;
  const std::function<void(const TuneStep& step)>& on_step_;
  TuneResult result_;
};

}  // namespace

std::string_view tune_stage_name(TuneStage stage) {
  for (const StageName& row : kStages) {
    if (row.stage == stage) return row.name;
  }
  return "unknown";
}

Result<std::vector<TuneStage>> parse_tune_stages(std::string_view text) {
  std::vector<TuneStage> stages;
  while (true) {
    const size_t comma = text.find(',');
    const std::string_view name = text.substr(0, comma);
    const auto* row =
        std::find_if(std::begin(kStages), std::end(kStages),
                     [name](const StageName& r) { return r.name == name; });
    if (row == std::end(kStages) ||
        std::find(stages.begin(), stages.end(), row->stage) != stages.end()) {
      return Status(TSR_INVALID_ARGUMENT,
                    fmt::format("stage {}: not one of weights, outliers, "
                                "activations, calibration and fallback, each "
                                "once",
                                name));
    }
    stages.push_back(row->stage);
    if (comma == std::string_view::npos) return stages;
    text.remove_prefix(comma + 1);
  }
}

Result<TuneResult> tune_recipe(
    const TunePoint& start, const TuneOptions& options, const ScorePoint& score,
    const std::function<void(const TuneStep& step)>& on_step) {
  return Tuner(start, options, score, on_step).run();
}

}  // namespace tessera
