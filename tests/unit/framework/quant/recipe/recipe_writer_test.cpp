// SPDX-License-Identifier: Apache-2.0
//
// A recipe that was written reads as itself.

#include "framework/quant/recipe/recipe_writer.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace tessera::quant {
namespace {

using testing::HasSubstr;
using testing::Not;

RecipeFile reread(const RecipeFile& file) {
  const std::string text = recipe_text(file);
  Result<RecipeFile> again = parse_recipe(text, "written.yaml");
  EXPECT_TRUE(again.ok()) << again.status().message() << "\n" << text;
  return again.ok() ? std::move(*again) : RecipeFile{};
}

TEST(RecipeWriter, ShippedRecipesSurvive) {
  ASSERT_FALSE(recipe_names().empty());
  for (const std::string& name : recipe_names()) {
    const auto path = find_recipe(name);
    ASSERT_TRUE(path.ok());
    const auto file = read_recipe(*path);
    ASSERT_TRUE(file.ok()) << file.status().message();
    EXPECT_EQ(recipe_text(reread(*file)), recipe_text(*file)) << name;
  }
}

TEST(RecipeWriter, EveryKeySurvives) {
  RecipeFile file;
  Recipe& recipe = file.recipe;
  recipe.schemes = {"w8a8sc",
                    "w8a16",
                    {{"*.v_proj", "w8a8"}, {"*: odd \"name\"", "float"}},
                    {"*.down_proj", "model.layers.0.*"},
                    3};
  recipe.metric = SensitivityMetric::kLayerMse;
  recipe.weights = WeightMethod::kGptq;
  recipe.gptq.act_order = recipe.gptq.static_groups = true;
  recipe.gptq.damping = 0.1;
  recipe.clip.num_steps = 7;
  recipe.clip.smallest = 0.3f;
  recipe.activations = {RangeRule::kPercentile, ActivationCodes::kAsymmetricS8,
                        0.999};
  recipe.outliers.method = OutlierMethod::kIterativeSmooth;
  recipe.outliers.exponents = {0.7, 0.1};
  recipe.outliers.subgraphs = {Subgraph::kNormMlp, Subgraph::kUpDown};
  recipe.sparsity.zero_fraction = 0.2;
  recipe.sparsity.protect.fraction = 1.0 / 3.0;
  recipe.sparsity.protect.grid = SparseGrid::kUniform;
  recipe.sparsity.importance = Importance::kSparseGpt;
  file.calibration = {"/texts.jsonl", 4096, 256};
  file.output.format = "msmodelslim";

  const RecipeFile again = reread(file);
  EXPECT_EQ(again.recipe.schemes.schemes, recipe.schemes.schemes);
  EXPECT_EQ(again.recipe.schemes.disable_names, recipe.schemes.disable_names);
  EXPECT_EQ(again.recipe.schemes.disable_level, 3u);
  EXPECT_EQ(again.recipe.metric, recipe.metric);
  EXPECT_TRUE(again.recipe.gptq.act_order);
  EXPECT_TRUE(again.recipe.gptq.static_groups);
  EXPECT_EQ(again.recipe.gptq.damping, 0.1);
  EXPECT_EQ(again.recipe.clip.num_steps, 7u);
  EXPECT_EQ(again.recipe.clip.smallest, 0.3f);
  EXPECT_EQ(again.recipe.activations.rule, RangeRule::kPercentile);
  EXPECT_EQ(again.recipe.activations.codes, ActivationCodes::kAsymmetricS8);
  EXPECT_EQ(again.recipe.activations.percentile, 0.999);
  EXPECT_EQ(again.recipe.outliers.exponents.alpha, 0.7);
  EXPECT_EQ(again.recipe.outliers.exponents.beta, 0.1);
  EXPECT_EQ(again.recipe.outliers.subgraphs, recipe.outliers.subgraphs);
  EXPECT_EQ(again.recipe.sparsity.protect.fraction, 1.0 / 3.0);
  EXPECT_EQ(again.calibration.text, "/texts.jsonl");
  EXPECT_EQ(recipe_text(again), recipe_text(file));
}

TEST(RecipeWriter, SaysNothingThatNeedsNoSaying) {
  RecipeFile file;
  file.recipe.schemes.default_scheme = "w4a16_g64";
  file.recipe.schemes.fallback_scheme = "float";
  const std::string text = recipe_text(file);
  EXPECT_THAT(text, HasSubstr("scheme: w4a16_g64\n"));
  for (const char* section : {"weights", "outliers", "sparsity", "output"}) {
    EXPECT_THAT(text, Not(HasSubstr(section)));
  }
}

}  // namespace
}  // namespace tessera::quant
