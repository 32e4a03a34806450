// SPDX-License-Identifier: Apache-2.0
//
// msModelSlim's recipes mean the same here, and what does not is said.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <utility>

#include "framework/quant/recipe/recipe_file.hpp"

namespace tessera::quant {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Pair;

RecipeFile parsed(std::string_view text) {
  Result<RecipeFile> file = parse_recipe(text, "r.yaml");
  EXPECT_TRUE(file.ok()) << file.status().message();
  return file.ok() ? std::move(*file) : RecipeFile{};
}

std::string refusal(std::string_view text) {
  const Result<RecipeFile> file = parse_recipe(text, "r.yaml");
  EXPECT_FALSE(file.ok()) << text;
  return file.ok() ? "" : file.status().message();
}

std::string scheme(const std::string& calib_cfg) {
  return parsed("spec: {calib_cfg: {" + calib_cfg + "}}")
      .recipe.schemes.default_scheme;
}

TEST(MsmodelslimRecipe, Qwen3W8A8) {
  const RecipeFile file = parsed(R"(apiversion: modelslim_v0
metadata:
  config_id: qwen3-32b-dense-w8a8
  score: 90
  label: {w_bit: 8, a_bit: 8, is_sparse: False, kv_cache: False}
spec:
  anti_cfg:
    anti_method: m4
  calib_cfg:
    w_bit: 8
    a_bit: 8
    mm_tensor: False
    pdmix: True
    disable_names: [lm_head, model.layers.1.mlp.down_proj]
  calib_dataset: mix_calib.jsonl
  calib_save_params:
    part_file_size: 4
)");
  const Recipe& recipe = file.recipe;
  EXPECT_EQ(recipe.schemes.default_scheme, "w8a8_mix");
  EXPECT_EQ(recipe.schemes.fallback_scheme, "float");
  EXPECT_THAT(recipe.schemes.disable_names,
              ElementsAre("model.layers.1.mlp.down_proj"));
  EXPECT_EQ(recipe.outliers.method, OutlierMethod::kIterativeSmooth);
  EXPECT_EQ(recipe.outliers.exponents.alpha, 0.9);
  EXPECT_EQ(file.output.format, "msmodelslim");
  EXPECT_THAT(
      file.ignored,
      ElementsAre(
          "spec.calib_cfg.disable_names lm_head: the head keeps its floats "
          "anyway",
          "spec.calib_dataset mix_calib.jsonl: a file of msModelSlim, name a "
          "text instead",
          "spec.calib_save_params.part_file_size 4: no meaning here",
          "metadata.config_id qwen3-32b-dense-w8a8: no meaning here",
          "metadata.score 90: no meaning here",
          "metadata.label: no meaning here"));
}

TEST(MsmodelslimRecipe, SparseWithMixedLayers) {
  const RecipeFile file = parsed(R"(apiversion: modelslim_v0
spec:
  anti_cfg: {anti_method: m6}
  calib_cfg: {w_bit: 4, a_bit: 8, is_lowbit: True, fraction: 0.011,
              use_sigma: True, act_method: 2}
  calib_params:
    mix_cfg:
      "model.layers.1.mlp.gate_proj": "float"
      "model.layers.*.mlp.down_proj": "w8a8_dynamic"
    disable_level: L10
)");
  const Recipe& recipe = file.recipe;
  EXPECT_EQ(recipe.schemes.default_scheme, "w8a8s");
  EXPECT_EQ(recipe.sparsity.protect.fraction, 0.011);
  EXPECT_EQ(recipe.schemes.disable_level, 10U);
  EXPECT_THAT(
      recipe.schemes.schemes,
      ElementsAre(Pair("model.layers.1.mlp.gate_proj", "float"),
                  Pair("model.layers.*.mlp.down_proj", "w8a8_dynamic")));
  EXPECT_EQ(recipe.outliers.method, OutlierMethod::kFlexSmooth);
  EXPECT_EQ(recipe.activations.rule, RangeRule::kHistogram);
  EXPECT_THAT(file.ignored,
              ElementsAre("spec.calib_cfg.use_sigma True: no meaning here"));
}

TEST(MsmodelslimRecipe, NamesTheSchemeOfEachPrecision) {
  EXPECT_EQ(scheme(""), "w8a8");
  EXPECT_EQ(scheme("w_bit: 8, a_bit: 8"), "w8a8");
  EXPECT_EQ(scheme("pdmix: True"), "w8a8_mix");
  EXPECT_EQ(scheme("is_dynamic: True"), "w8a8_dynamic");
  EXPECT_EQ(scheme("w_bit: 8, a_bit: 16"), "w8a16");
  EXPECT_EQ(scheme("w_bit: 4, a_bit: 16"), "w4a16_channel");
  EXPECT_EQ(scheme("w_bit: 4, a_bit: 16, group_size: 64, w_sym: False"),
            "w4a16_g64_asym");
  EXPECT_EQ(scheme("w_bit: 4, a_bit: 8, is_dynamic: True, group_size: 32"),
            "w4a8_g32");
  EXPECT_EQ(scheme("w_bit: 4, a_bit: 8, co_sparse: True"), "w8a8s");
  EXPECT_EQ(scheme("w_bit: 4, a_bit: 4"), "w4a4_channel");
  EXPECT_EQ(scheme("use_kvcache_quant: True"), "w8a8_kv8_channel");
  EXPECT_EQ(scheme("pdmix: True, fa_quant: True"), "w8a8_mix_fa3");
}

TEST(MsmodelslimRecipe, RefusesPrecisionsWithoutACounterpart) {
  EXPECT_THAT(refusal("spec:\n  calib_cfg: {w_bit: 16, a_bit: 16}"),
              HasSubstr("r.yaml: line 2: spec.calib_cfg: no scheme for w_bit "
                        "16, a_bit 16"));
  EXPECT_THAT(
      refusal("spec: {calib_cfg: {w_bit: 4, a_bit: 16, group_size: 48}}"),
      HasSubstr("group_size 48"));
  EXPECT_THAT(refusal("spec: {calib_cfg: {w_bit: x}}"),
              HasSubstr("spec.calib_cfg.w_bit x is not a whole number"));
  EXPECT_THAT(refusal("spec:\n  calib_cfg: {use_kvcache_quant: True, "
                      "fa_quant: True}"),
              HasSubstr("use_kvcache_quant and fa_quant exclude each other"));
  EXPECT_THAT(refusal("apiversion: modelslim_v0"), HasSubstr("no spec"));
  EXPECT_THAT(refusal("spec: {}"), HasSubstr("neither calib_cfg nor process"));
  EXPECT_THAT(refusal("spec: {calib_cfg: {}, anti_cfg: {anti_method: m9}}"),
              HasSubstr("spec.anti_cfg.anti_method: outlier method m9"));
}

TEST(MsmodelslimRecipe, TakesAFixedPairOfFlexSmooth) {
  const RecipeFile file = parsed(
      "spec: {calib_cfg: {}, anti_cfg: {anti_method: m6, flex_config: {alpha: "
      "0.75, beta: 0.1}, disable_anti_names: [a]}}");
  EXPECT_EQ(file.recipe.outliers.method, OutlierMethod::kIterativeSmooth);
  EXPECT_EQ(file.recipe.outliers.exponents.alpha, 0.75);
  EXPECT_EQ(file.recipe.outliers.exponents.beta, 0.1);
  EXPECT_THAT(file.ignored,
              ElementsAre("spec.anti_cfg.disable_anti_names: no meaning here"));
}

TEST(MsmodelslimRecipe, KnowsAllOutlierMethodsButCbq) {
  const auto method = [](const std::string& name) {
    return parsed("spec: {calib_cfg: {}, anti_cfg: {anti_method: " + name +
                  "}}");
  };
  EXPECT_EQ(method("m1").recipe.outliers.method, OutlierMethod::kSmoothQuant);
  EXPECT_EQ(method("m2").recipe.outliers.method, OutlierMethod::kSmoothQuant);
  EXPECT_EQ(method("m3").recipe.outliers.method, OutlierMethod::kAwq);
  const RecipeFile cbq = method("m5");
  EXPECT_EQ(cbq.recipe.outliers.method, OutlierMethod::kNone);
  EXPECT_THAT(cbq.ignored, ElementsAre("spec.anti_cfg.anti_method m5: CBQ has "
                                       "no counterpart here"));
}

TEST(MsmodelslimRecipe, ProcessorsOfOneScheme) {
  const RecipeFile file = parsed(R"(apiversion: modelslim_v1
spec:
  process:
    - {type: iter_smooth, alpha: 0.8, scale_min: 1e-5,
       enable_subgraph_type: [norm-linear, linear-linear, ov], include: ["*"]}
    - {type: quarot}
    - type: linear_quant
      qconfig:
        act: {scope: per_tensor, dtype: int8, symmetric: False, method: minmax}
        weight: {scope: per_channel, dtype: int8, method: minmax}
      include: ["*"]
      exclude: ["*down_proj*"]
    - {type: dynamic_cache}
  save: [{type: ascendv1_saver}]
)");
  const Recipe& recipe = file.recipe;
  EXPECT_EQ(recipe.schemes.default_scheme, "w8a8_kv8_channel");
  EXPECT_THAT(recipe.schemes.disable_names, ElementsAre("*down_proj*"));
  EXPECT_THAT(recipe.schemes.schemes, IsEmpty());
  EXPECT_EQ(recipe.activations.codes, ActivationCodes::kAsymmetricS8);
  EXPECT_EQ(recipe.outliers.exponents.alpha, 0.8);
  EXPECT_THAT(recipe.outliers.subgraphs,
              ElementsAre(Subgraph::kNormAttention, Subgraph::kNormMlp,
                          Subgraph::kValueOutput));
  EXPECT_THAT(file.ignored,
              ElementsAre("spec.process.scale_min 1e-5: no meaning here",
                          "spec.process line 6 quarot: no counterpart here",
                          "spec.save: no meaning here"));
}

TEST(MsmodelslimRecipe, ProcessorsOfSeveralSchemes) {
  const RecipeFile file = parsed(R"(apiversion: modelslim_v1
int8: &int8
  weight: {scope: per_channel, dtype: int8}
  act: {scope: per_token, dtype: int8}
int4: &int4
  weight: {scope: per_group, dtype: int4, ext: {group_size: 64}}
spec:
  process:
    - type: group
      configs:
        - {type: linear_quant, qconfig: *int8, include: ["*.{q,k}_proj"]}
        - {type: linear_quant, qconfig: *int4, exclude: ["*.o_proj"]}
)");
  const SchemeRules& rules = file.recipe.schemes;
  EXPECT_THAT(rules.schemes, ElementsAre(Pair("*.q_proj", "w8a8_dynamic"),
                                         Pair("*.k_proj", "w8a8_dynamic"),
                                         Pair("*.o_proj", "float")));
  EXPECT_EQ(rules.default_scheme, "w4a16_g64");
}

TEST(MsmodelslimRecipe, RefusesProcessorsWithoutACounterpart) {
  const std::string start = "spec:\n  process:\n";
  const std::string int8 = "qconfig: {weight: {dtype: int8}}";
  EXPECT_THAT(refusal(start + "    - {type: quarot}"),
              HasSubstr("quantizes no linear"));
  EXPECT_THAT(refusal("spec: {process: {}}"), HasSubstr("not a list"));
  EXPECT_THAT(refusal(start + "    - {type: linear_quant}"),
              HasSubstr("line 3: spec.process: linears without qconfig"));
  EXPECT_THAT(refusal(start + "    - {type: linear_quant, qconfig: {weight: "
                              "{dtype: mxfp8}}}"),
              HasSubstr("line 3: spec.process.qconfig: no scheme"));
  EXPECT_THAT(refusal(start + "    - {type: linear_quant, exclude: [a], " +
                      int8 + "}\n    - {type: linear_quant, " + int8 + "}"),
              HasSubstr("line 3: spec.process: an exclude"));
  std::string braces = "a";
  for (int i = 0; i < 12; ++i) braces += "{1,2}";
  EXPECT_THAT(refusal(start + "    - {type: linear_quant, " + int8 +
                      ", include: [\"" + braces + "\"]}"),
              HasSubstr("more than 1000 patterns"));
}

}  // namespace
}  // namespace tessera::quant
