// SPDX-License-Identifier: Apache-2.0
//
// Recipes: every key, every refusal.

#include "framework/quant/recipe/recipe_file.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <utility>

namespace tessera::quant {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Pair;

RecipeFile parsed(std::string_view text) {
  Result<RecipeFile> file = parse_recipe(text, "folder/r.yaml");
  EXPECT_TRUE(file.ok()) << file.status().message();
  return file.ok() ? std::move(*file) : RecipeFile{};
}

std::string refusal(std::string_view text) {
  const Result<RecipeFile> file = parse_recipe(text, "r.yaml");
  EXPECT_FALSE(file.ok()) << text;
  if (file.ok()) return "";
  EXPECT_EQ(file.status().code(), TSR_INVALID_ARGUMENT);
  return file.status().message();
}

TEST(RecipeFile, NeedsNothingButAScheme) {
  const RecipeFile file = parsed("scheme: w8a8_dynamic\n");
  const Recipe& recipe = file.recipe;
  EXPECT_EQ(recipe.schemes.default_scheme, "w8a8_dynamic");
  EXPECT_EQ(recipe.schemes.fallback_scheme, "float");
  EXPECT_THAT(recipe.schemes.schemes, IsEmpty());
  EXPECT_THAT(recipe.schemes.disable_names, IsEmpty());
  EXPECT_EQ(recipe.schemes.disable_level, 0U);
  EXPECT_EQ(recipe.weights, WeightMethod::kNearest);
  EXPECT_EQ(recipe.outliers.method, OutlierMethod::kNone);
  EXPECT_EQ(recipe.activations.rule, RangeRule::kMinMax);
  EXPECT_EQ(recipe.sparsity.protect.scale_dtype, uint32_t{TSR_F16});
  EXPECT_EQ(file.calibration.text, "");
  EXPECT_EQ(file.calibration.max_tokens, 0U);
  EXPECT_EQ(file.output.format, "auto");
  EXPECT_THAT(file.ignored, IsEmpty());
}

TEST(RecipeFile, ReadsTheRulesOfSchemes) {
  const RecipeFile file = parsed(R"(
scheme: w8a8
fallback_scheme: w8a16
layers: {"*.mlp.down_proj": w8a16, "*.o_proj": float, "*.a": w4a16_g64}
disable_names: ["*.down_proj", model.layers.0.mlp.up_proj]
disable_level: L5
sensitivity: std
)");
  const SchemeRules& rules = file.recipe.schemes;
  EXPECT_EQ(rules.fallback_scheme, "w8a16");
  EXPECT_THAT(rules.schemes,
              ElementsAre(Pair("*.mlp.down_proj", "w8a16"),
                          Pair("*.o_proj", "float"), Pair("*.a", "w4a16_g64")));
  EXPECT_THAT(rules.disable_names,
              ElementsAre("*.down_proj", "model.layers.0.mlp.up_proj"));
  EXPECT_EQ(rules.disable_level, 5U);
  EXPECT_EQ(file.recipe.metric, SensitivityMetric::kRangeParm);
}

TEST(RecipeFile, ReadsADisableLevelWithoutItsLetter) {
  EXPECT_EQ(
      parsed("scheme: w8a8\ndisable_level: 12").recipe.schemes.disable_level,
      12U);
}

TEST(RecipeFile, ReadsWeights) {
  const Recipe recipe = parsed(R"(
scheme: w4a16
weights: {method: gptq, act_order: true, static_groups: true, damping: 0.05,
          clip_steps: 10, clip_smallest: 0.25}
)")
                            .recipe;
  EXPECT_EQ(recipe.weights, WeightMethod::kGptq);
  EXPECT_TRUE(recipe.gptq.act_order);
  EXPECT_TRUE(recipe.gptq.static_groups);
  EXPECT_EQ(recipe.gptq.damping, 0.05);
  EXPECT_EQ(recipe.clip.num_steps, 10U);
  EXPECT_EQ(recipe.clip.smallest, 0.25f);
  EXPECT_EQ(recipe.gptq.clip.num_steps, 10U);
}

TEST(RecipeFile, ReadsActivationsSparsityCalibrationAndOutput) {
  const RecipeFile file = parsed(R"(
scheme: w8a8sc
activations: {range: percentile, symmetric: false, percentile: 0.999}
sparsity: {zero_fraction: 0.1, protect_fraction: 0.02, grid: uniform,
           importance: wanda}
calibration: {text: texts/a.txt, max_tokens: 4096, context: 256}
output: {format: compressed-tensors}
)");
  EXPECT_EQ(file.recipe.activations.rule, RangeRule::kPercentile);
  EXPECT_EQ(file.recipe.activations.codes, ActivationCodes::kAsymmetricS8);
  EXPECT_EQ(file.recipe.activations.percentile, 0.999);
  EXPECT_EQ(file.recipe.sparsity.zero_fraction, 0.1);
  EXPECT_EQ(file.recipe.sparsity.protect.fraction, 0.02);
  EXPECT_EQ(file.recipe.sparsity.protect.grid, SparseGrid::kUniform);
  EXPECT_EQ(file.recipe.sparsity.importance, Importance::kWanda);
  EXPECT_EQ(file.calibration.text, "folder/texts/a.txt");
  EXPECT_EQ(file.calibration.max_tokens, 4096U);
  EXPECT_EQ(file.calibration.context, 256U);
  EXPECT_EQ(file.output.format, "compressed-tensors");
}

TEST(RecipeFile, ReadsARotation) {
  EXPECT_FALSE(parsed("scheme: w4a4_channel\n").recipe.rotation_seed);
  EXPECT_EQ(parsed("scheme: w4a4_channel\nrotation: {seed: 7}\n")
                .recipe.rotation_seed,
            7U);
  // A section says what is wanted even if no key does.
  EXPECT_EQ(parsed("scheme: w4a4_channel\nrotation: {}\n").recipe.rotation_seed,
            0U);
}

TEST(RecipeFile, LeavesAbsoluteTextsAsTheyAre) {
  EXPECT_EQ(
      parsed("scheme: w8a8\ncalibration: {text: /a/b.txt}").calibration.text,
      "/a/b.txt");
}

OutlierOptions outliers(const std::string& fields) {
  return parsed("scheme: w8a8\noutliers: " + fields).recipe.outliers;
}

TEST(RecipeFile, ReadsOutliers) {
  const OutlierOptions options = outliers(
      "{method: smooth_quant, alpha: 0.75, beta: 0.5, subgraphs: "
      "[norm_attention, norm_mlp, value_output, up_down]}");
  EXPECT_EQ(options.method, OutlierMethod::kSmoothQuant);
  EXPECT_EQ(options.exponents.alpha, 0.75);
  EXPECT_EQ(options.exponents.beta, 0.5);
  EXPECT_THAT(options.subgraphs,
              ElementsAre(Subgraph::kNormAttention, Subgraph::kNormMlp,
                          Subgraph::kValueOutput, Subgraph::kUpDown));
}

TEST(RecipeFile, GivesEachOutlierMethodItsExponents) {
  const OutlierOptions smooth = outliers("{method: m1}");
  EXPECT_EQ(smooth.exponents.alpha, 0.5);
  EXPECT_EQ(smooth.exponents.beta, 0.5);
  const OutlierOptions iterative = outliers("{method: m4}");
  EXPECT_EQ(iterative.exponents.alpha, 0.9);
  EXPECT_EQ(iterative.exponents.beta, 1.0 - 0.9);
  const OutlierOptions given = outliers("{method: m2, alpha: 0.75}");
  EXPECT_EQ(given.exponents.beta, 0.25);
  EXPECT_EQ(outliers("{method: m6}").method, OutlierMethod::kFlexSmooth);
}

TEST(RecipeFile, SearchesNothingInFlexSmoothWithBothExponents) {
  const OutlierOptions options =
      outliers("{method: m6, alpha: 0.75, beta: 0.1}");
  EXPECT_EQ(options.method, OutlierMethod::kIterativeSmooth);
  EXPECT_EQ(options.exponents.alpha, 0.75);
  EXPECT_EQ(options.exponents.beta, 0.1);
}

TEST(RecipeFile, TakesAnEmptySectionAsNothingSaid) {
  const RecipeFile file =
      parsed("scheme: w8a8\nweights:\ndisable_names:\nlayers:\noutput: {}");
  EXPECT_EQ(file.recipe.weights, WeightMethod::kNearest);
}

TEST(RecipeFile, NamesUnknownKeysAndTheirNearest) {
  EXPECT_EQ(refusal("scheme: w8a8\ncalibraton: {}"),
            "r.yaml: line 2: unknown key calibraton, the nearest is "
            "calibration");
  EXPECT_EQ(refusal("scheme: w8a8\nweights:\n  damping: 0.01\n  act-order: "
                    "true"),
            "r.yaml: line 4: unknown key weights.act-order, the nearest is "
            "act_order");
  EXPECT_THAT(refusal("shceme: w8a8"), HasSubstr("the nearest is scheme"));
  for (const char* section : {"weights", "activations", "outliers", "sparsity",
                              "calibration", "output"}) {
    EXPECT_THAT(
        refusal("scheme: w8a8\n" + std::string(section) + ": {zzz: 1}"),
        HasSubstr("line 2: unknown key " + std::string(section) + ".zzz"));
  }
}

TEST(RecipeFile, NamesWrongValues) {
  const std::pair<const char*, const char*> cases[] = {
      {"{}", "r.yaml: no scheme"},
      {"", "r.yaml: no scheme"},
      {"- w8a8", "r.yaml: line 1: the file (a list) is not a map"},
      {"w8a8", "r.yaml: line 1: the file w8a8 is not a map"},
      {"scheme: w9a9", "line 1: scheme: scheme w9a9: not one of f32"},
      {"scheme: float", "line 1: scheme: scheme float: not one of"},
      {"scheme:", "line 1: scheme without a value is not a text"},
      {"scheme: [w8a8]", "line 1: scheme (a list) is not a text"},
      {"fallback_scheme: x", "fallback_scheme: scheme x: not one of"},
      {"layers: {a: x}", "line 1: layers.a: scheme x: not one of"},
      {"layers: [a]", "layers (a list) is not a map"},
      {"disable_names: '*.o_proj'",
       "disable_names \"*.o_proj\" is not a list of texts"},
      {"disable_names:\n- [a]", "line 2: disable_names (a list) is not a text"},
      {"disable_level: Lx", "disable_level Lx is not a whole number from 0 to"},
      {"disable_level: -1", "disable_level -1 is not a whole number"},
      {"disable_level: L99999999999", "disable_level L99999999999 is not"},
      {"sensitivity: x", "line 1: sensitivity: "},
      {"weights: 3", "weights 3 is not a map"},
      {"weights: {method: x}", "weights.method: weight method x: not nearest"},
      {"weights: {act_order: yes}",
       "weights.act_order yes is not true or false"},
      {"weights: {act_order: 'true'}",
       "weights.act_order \"true\" is not true or false"},
      {"weights: {damping: 2}",
       "weights.damping 2 is not a number from 0 to 1"},
      {"weights: {damping: .nan}", "weights.damping .nan is not a number"},
      {"weights: {damping: nan}", "weights.damping nan is not a number"},
      {"weights: {damping: 0.1x}", "weights.damping 0.1x is not a number"},
      {"weights: {clip_steps: 1.5}",
       "weights.clip_steps 1.5 is not a whole number from 0 to 1000"},
      {"weights: {clip_smallest: 0}", "weights.clip_smallest 0 is not"},
      {"activations: {range: x}", "activations.range: "},
      {"activations: {symmetric: 1}", "activations.symmetric 1 is not true"},
      {"activations: {percentile: 99.9}",
       "activations.percentile 99.9 is not a number from 0.5 to 1"},
      {"outliers: {method: m5}", "outliers.method: outlier method m5: not"},
      {"outliers: {alpha: 0.5}",
       "outliers.alpha: this method has no exponents"},
      {"outliers: {method: awq, beta: 0.5}",
       "outliers.beta: this method has no exponents"},
      {"outliers: {method: m6, alpha: 0.5}", "takes alpha and beta both"},
      {"outliers: {method: m1, alpha: 1.5}", "outliers.alpha 1.5 is not"},
      {"outliers: {method: m1, beta: -1}", "outliers.beta -1 is not"},
      {"outliers: {subgraphs: [x]}", "subgraph x: not norm_attention"},
      {"sparsity: {zero_fraction: 1.1}", "sparsity.zero_fraction 1.1 is not"},
      {"sparsity: {protect_fraction: x}", "sparsity.protect_fraction x is not"},
      {"sparsity: {grid: x}", "sparsity.grid: grid x: not book or uniform"},
      {"sparsity: {importance: x}", "sparsity.importance: importance x: not"},
      {"calibration: {max_tokens: 0}", "calibration.max_tokens 0 is not"},
      {"calibration: {context: 1e30}", "calibration.context 1e30 is not"},
      {"calibration: {text: [a]}", "calibration.text (a list) is not a text"},
      {"output: {format: x}", "output.format: format x: not auto, msmodelslim"},
  };
  for (const auto& [text, message] : cases) {
    EXPECT_THAT(refusal(text), HasSubstr(message)) << text;
  }
}

TEST(RecipeFile, RefusesDuplicateKeys) {
  EXPECT_EQ(refusal("scheme: w8a8\nscheme: w8a16"),
            "r.yaml: line 2: key scheme again, first on line 1");
  EXPECT_EQ(refusal("scheme: w8a8\nlayers:\n  a: w8a8\n  a: w8a8"),
            "r.yaml: line 4: key a again, first on line 3");
}

TEST(RecipeFile, RefusesWhatIsNoYaml) {
  EXPECT_THAT(refusal("scheme: [w8a8"), HasSubstr("r.yaml: line "));
  EXPECT_THAT(refusal("scheme: \"w8a8"), HasSubstr("no YAML: "));
  EXPECT_THAT(refusal("scheme: w8a8\n---\nscheme: w8a8"),
              HasSubstr("more than one document"));
  EXPECT_THAT(refusal("? [a]\n: b"), HasSubstr("a key that is no scalar"));
  EXPECT_THAT(refusal(std::string((1 << 20) + 1, ' ')),
              HasSubstr("1048577 bytes, more than 1048576"));
}

TEST(RecipeFile, NamesAMissingFile) {
  const auto file = read_recipe("no/such.yaml");
  ASSERT_FALSE(file.ok());
  EXPECT_EQ(file.status().code(), TSR_NOT_FOUND);
  EXPECT_THAT(file.status().message(), HasSubstr("no/such.yaml"));
}

// ---- Shipped recipes

TEST(ShippedRecipes, AllParseAndExplainThemselves) {
  EXPECT_GE(recipe_names().size(), 13U);
  std::ifstream page(TSR_SOURCE_DIR "/docs/recipes.md");
  const std::string listed((std::istreambuf_iterator<char>(page)), {});
  for (const std::string& name : recipe_names()) {
    const auto path = find_recipe(name);
    ASSERT_TRUE(path.ok()) << path.status().message();
    const auto file = read_recipe(*path);
    EXPECT_TRUE(file.ok()) << file.status().message();
    std::ifstream stream(*path);
    std::string text((std::istreambuf_iterator<char>(stream)), {});
    EXPECT_THAT(text, testing::StartsWith("# ")) << name;
    EXPECT_THAT(text, HasSubstr("# Source: ")) << name;
    EXPECT_THAT(listed, HasSubstr("`" + name + "`"));
  }
}

TEST(ShippedRecipes, AreFoundByNameOrPath) {
  const auto path = find_recipe("w4a16_gptq");
  ASSERT_TRUE(path.ok());
  EXPECT_THAT(*path, testing::EndsWith("recipes/w4a16_gptq.yaml"));
  EXPECT_EQ(*find_recipe("w4a16_gptq.yaml"), *path);
  EXPECT_EQ(*find_recipe(*path), *path);
}

TEST(ShippedRecipes, AreListedForAnUnknownName) {
  for (const char* name : {"nothing", "", "../recipes/w8a16", "."}) {
    const auto path = find_recipe(name);
    ASSERT_FALSE(path.ok()) << name;
    EXPECT_EQ(path.status().code(), TSR_NOT_FOUND);
    EXPECT_THAT(path.status().message(), HasSubstr("w4a16_awq w4a16_gptq"));
  }
}

}  // namespace
}  // namespace tessera::quant
