// SPDX-License-Identifier: Apache-2.0

#include "framework/tuning/tune_recipe.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace tessera {
namespace {

using quant::OutlierMethod;
using quant::WeightMethod;
using testing::ElementsAre;

// A model of which every figure is known: each thing done right takes something
// off a score of 16.
class TuneRecipe : public testing::Test {
 protected:
  TuneRecipe() {
    start_.recipe.schemes.default_scheme = "w8a8";
    start_.recipe.schemes.fallback_scheme = "float";
    start_.calibration_tokens = 1000;
    options_.max_calibration_tokens = 3000;
    options_.rank_layers = [](const TunePoint&) {
      return Result<std::vector<std::string>>(
          std::vector<std::string>{"down", "o", "up", "gate"});
    };
  }

  static double score_of(const TunePoint& point) {
    double score = 16.0;
    if (point.recipe.weights == WeightMethod::kGptq) score -= 1.0;
    if (point.recipe.outliers.method == OutlierMethod::kFlexSmooth)
      score -= 2.0;
    if (point.recipe.activations.rule == quant::RangeRule::kHistogram) {
      score -= 4.0;
    }
    if (point.calibration_tokens == 3000) score -= 0.5;
    for (const std::string& name : point.recipe.schemes.disable_names) {
      if (name == "down") score -= 5.0;
      if (name == "o") score -= 3.0;
    }
    return score;
  }

  TuneResult run() {
    auto result = tune_recipe(
        start_, options_,
        [this](const TunePoint& point) {
          ++evaluations_;
          return Result<double>(score_of(point));
        },
        [this](const TuneStep& step) { changes_.push_back(step.change); });
    EXPECT_TRUE(result.ok()) << result.status().message();
    return std::move(*result);
  }

  TunePoint start_;
  TuneOptions options_;
  uint32_t evaluations_ = 0;
  std::vector<std::string> changes_;
};

TEST_F(TuneRecipe, KeepsWhatHelpsOfEveryStage) {
  options_.tolerance = 0.0;
  const TuneResult result = run();
  EXPECT_EQ(result.start_score, 16.0);
  EXPECT_EQ(result.best.recipe.weights, WeightMethod::kGptq);
  EXPECT_FALSE(result.best.recipe.gptq.act_order) << "it gained nothing";
  EXPECT_EQ(result.best.recipe.outliers.method, OutlierMethod::kFlexSmooth);
  EXPECT_EQ(result.best.recipe.activations.rule, quant::RangeRule::kHistogram);
  EXPECT_EQ(result.best.calibration_tokens, 3000u);
  EXPECT_EQ(result.score, 16.0 - 1.0 - 2.0 - 4.0 - 0.5 - 5.0 - 3.0);
  EXPECT_FALSE(result.met);
  EXPECT_EQ(changes_.size(), result.steps.size());
}

TEST_F(TuneRecipe, StopsAsSoonAsTheToleranceIsMet) {
  options_.tolerance = 15.0;
  const TuneResult result = run();
  EXPECT_TRUE(result.met);
  EXPECT_THAT(changes_, ElementsAre("method nearest, scales of least error",
                                    "method gptq"));
  EXPECT_EQ(result.steps.back().gain, 1.0);
}

TEST_F(TuneRecipe, TriesNothingIfTheStartIsGoodEnough) {
  options_.tolerance = 16.0;
  EXPECT_TRUE(run().met);
  EXPECT_EQ(evaluations_, 1u);
}

TEST_F(TuneRecipe, FallsBackOnAsFewLayersAsItTakes) {
  options_.stages = {TuneStage::kFallback};
  options_.tolerance = 11.0;
  const TuneResult result = run();
  EXPECT_TRUE(result.met);
  EXPECT_THAT(result.best.recipe.schemes.disable_names, ElementsAre("down"));
}

TEST_F(TuneRecipe, AStageThatDoesNotFitIsNotTried) {
  start_.recipe.schemes.default_scheme = "w8a8_dynamic";
  options_.stages = {TuneStage::kActivations};
  run();
  EXPECT_TRUE(changes_.empty());
}

TEST_F(TuneRecipe, ACandidateThatCannotBeHadIsPassedOver) {
  const auto result = tune_recipe(
      start_, options_,
      [](const TunePoint& point) -> Result<double> {
        if (point.recipe.weights == WeightMethod::kGptq) {
          return Status(TSR_INVALID_ARGUMENT, "no GPTQ for this");
        }
        return score_of(point);
      },
      [](const TuneStep&) {});
  ASSERT_TRUE(result.ok()) << result.status().message();
  EXPECT_EQ(result->best.recipe.weights, WeightMethod::kNearest);
}

TEST_F(TuneRecipe, AnotherFailureEndsTheSearch) {
  const auto result = tune_recipe(
      start_, options_,
      [](const TunePoint&) -> Result<double> {
        return Status(TSR_UNAVAILABLE, "the device is gone");
      },
      [](const TuneStep&) {});
  EXPECT_EQ(result.status().code(), TSR_UNAVAILABLE);
}

TEST(TuneStages, AreReadInAnyOrder) {
  const auto stages = parse_tune_stages("fallback,weights");
  ASSERT_TRUE(stages.ok());
  EXPECT_THAT(*stages, ElementsAre(TuneStage::kFallback, TuneStage::kWeights));
  for (const char* wrong : {"", "weights,", "weight", "weights,weights"}) {
    EXPECT_EQ(parse_tune_stages(wrong).status().code(), TSR_INVALID_ARGUMENT)
        << wrong;
  }
}

}  // namespace
}  // namespace tessera
