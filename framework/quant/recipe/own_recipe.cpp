// SPDX-License-Identifier: Apache-2.0

//
// The schema of docs/recipes.md.

#include <fmt/format.h>

#include "framework/format/scheme.hpp"
#include "framework/quant/recipe/recipe_fields.hpp"
#include "framework/quant/recipe/yaml_fields.hpp"

namespace tessera::quant {
namespace {

constexpr YamlRange kShare = {0.0, 1.0};
// A range that leaves out half of the values is a typing error.
constexpr YamlRange kPercentile = {0.5, 1.0};
constexpr YamlRange kClipSmallest = {0.01, 1.0};
constexpr YamlRange kClipSteps = {0, 1000};
constexpr YamlRange kLevel = {0, 1e6};
constexpr YamlRange kSeed = {0, 4294967295.0};
constexpr YamlRange kTokens = {1, 1e9};
constexpr YamlRange kContext = {1, 1 << 20};
constexpr double kIterativeAlpha = 0.9;  // msModelSlim's, smooth.hpp

Result<std::string> find_whole_scheme(std::string_view name) {
  TSR_ASSIGN_OR_RETURN(const Scheme scheme, find_scheme(name));
  return scheme.name;
}

Result<SparseGrid> find_grid(std::string_view name) {
  if (name == "book") return SparseGrid::kBook;
  if (name == "uniform") return SparseGrid::kUniform;
  return Status(TSR_INVALID_ARGUMENT,
                fmt::format("grid {}: not book or uniform", name));
}

Result<Subgraph> find_subgraph(std::string_view name) {
  if (name == "norm_attention") return Subgraph::kNormAttention;
  if (name == "norm_mlp") return Subgraph::kNormMlp;
  if (name == "value_output") return Subgraph::kValueOutput;
  if (name == "up_down") return Subgraph::kUpDown;
  return Status(TSR_INVALID_ARGUMENT,
                fmt::format("subgraph {}: not norm_attention, norm_mlp, "
                            "value_output or up_down",
                            name));
}

Result<std::string> find_output_format(std::string_view name) {
  for (const char* known :
       {"auto", "msmodelslim", "compressed-tensors", "gguf"}) {
    if (name == known) return std::string(name);
  }
  return Status(TSR_INVALID_ARGUMENT,
                fmt::format("format {}: not auto, msmodelslim, "
                            "compressed-tensors or gguf",
                            name));
}

Status read_layers(const YamlNode& node, SchemeRules& rules) {
  TSR_ASSIGN_OR_RETURN(YamlFields fields, YamlFields::open(node, "layers"));
  for (const YamlNode& item : node.items) {
    std::string scheme;
    TSR_RETURN_IF_ERROR(fields.read(item.key, find_scheme_or_float, &scheme));
    rules.schemes.emplace_back(item.key, std::move(scheme));
  }
  return {};
}

Status read_rules(YamlFields& fields, Recipe& recipe) {
  SchemeRules& rules = recipe.schemes;
  rules.fallback_scheme = "float";
  TSR_RETURN_IF_ERROR(
      fields.read("scheme", find_whole_scheme, &rules.default_scheme));
  TSR_RETURN_IF_ERROR(fields.read("fallback_scheme", find_scheme_or_float,
                                  &rules.fallback_scheme));
  if (const YamlNode* layers = fields.take("layers")) {
    TSR_RETURN_IF_ERROR(read_layers(*layers, rules));
  }
  TSR_RETURN_IF_ERROR(fields.read("disable_names", &rules.disable_names));
  if (const YamlNode* level = fields.take("disable_level")) {
    TSR_ASSIGN_OR_RETURN(rules.disable_level,
                         read_disable_level(*level, "disable_level"));
  }
  return fields.read("sensitivity", find_sensitivity_metric, &recipe.metric);
}

Status read_weights(const YamlNode& node, Recipe& recipe) {
  TSR_ASSIGN_OR_RETURN(YamlFields fields, YamlFields::open(node, "weights"));
  TSR_RETURN_IF_ERROR(
      fields.read("method", find_weight_method, &recipe.weights));
  TSR_RETURN_IF_ERROR(fields.read("act_order", &recipe.gptq.act_order));
  TSR_RETURN_IF_ERROR(fields.read("static_groups", &recipe.gptq.static_groups));
  TSR_RETURN_IF_ERROR(fields.read("damping", kShare, &recipe.gptq.damping));
  TSR_RETURN_IF_ERROR(
      fields.read("clip_steps", kClipSteps, &recipe.clip.num_steps));
  double smallest = recipe.clip.smallest;
  TSR_RETURN_IF_ERROR(fields.read("clip_smallest", kClipSmallest, &smallest));
  recipe.clip.smallest = static_cast<float>(smallest);
  recipe.gptq.clip = recipe.clip;
  return fields.finish();
}

Status read_activations(const YamlNode& node, RangeOptions& activations) {
  TSR_ASSIGN_OR_RETURN(YamlFields fields,
                       YamlFields::open(node, "activations"));
  TSR_RETURN_IF_ERROR(fields.read("range", find_range_rule, &activations.rule));
  bool symmetric = true;
  TSR_RETURN_IF_ERROR(fields.read("symmetric", &symmetric));
  activations.codes = symmetric ? ActivationCodes::kSymmetricS8
                                : ActivationCodes::kAsymmetricS8;
  TSR_RETURN_IF_ERROR(
      fields.read("percentile", kPercentile, &activations.percentile));
  return fields.finish();
}

// Which methods read exponents, and what they are when not given.
Status read_exponents(const YamlNode& node, YamlFields& fields,
                      OutlierOptions& outliers) {
  const YamlNode* alpha = fields.take("alpha");
  const YamlNode* beta = fields.take("beta");
  SmoothExponents& exponents = outliers.exponents;
  TSR_RETURN_IF_ERROR(fields.read("alpha", kShare, &exponents.alpha));
  if (outliers.method == OutlierMethod::kIterativeSmooth && !alpha) {
    exponents.alpha = kIterativeAlpha;
  }
  exponents.beta = 1.0 - exponents.alpha;
  TSR_RETURN_IF_ERROR(fields.read("beta", kShare, &exponents.beta));
  if (!alpha && !beta) return {};
  switch (outliers.method) {
    case OutlierMethod::kSmoothQuant:
    case OutlierMethod::kIterativeSmooth:
      return {};
    case OutlierMethod::kFlexSmooth:
      if (!alpha || !beta) {
        return yaml_error(node, "outliers",
                          "flex_smooth takes alpha and beta both, or searches "
                          "both");
      }
      // With nothing left to search it is Iterative Smooth.
      outliers.method = OutlierMethod::kIterativeSmooth;
      return {};
    default:
      return yaml_error(alpha ? *alpha : *beta,
                        alpha ? "outliers.alpha" : "outliers.beta",
                        "this method has no exponents");
  }
}

Status read_outliers(const YamlNode& node, OutlierOptions& outliers) {
  TSR_ASSIGN_OR_RETURN(YamlFields fields, YamlFields::open(node, "outliers"));
  TSR_RETURN_IF_ERROR(
      fields.read("method", find_outlier_method, &outliers.method));
  TSR_RETURN_IF_ERROR(read_exponents(node, fields, outliers));
  if (const YamlNode* list = fields.take("subgraphs")) {
    TSR_ASSIGN_OR_RETURN(const auto names,
                         yaml_texts(*list, "outliers.subgraphs"));
    for (const std::string& name : names) {
      const Result<Subgraph> subgraph = find_subgraph(name);
      if (!subgraph.ok()) {
        return yaml_error(*list, "outliers.subgraphs",
                          subgraph.status().message());
      }
      outliers.subgraphs.push_back(*subgraph);
    }
  }
  return fields.finish();
}

Status read_sparsity(const YamlNode& node, SparsityOptions& sparsity) {
  TSR_ASSIGN_OR_RETURN(YamlFields fields, YamlFields::open(node, "sparsity"));
  TSR_RETURN_IF_ERROR(
      fields.read("zero_fraction", kShare, &sparsity.zero_fraction));
  TSR_RETURN_IF_ERROR(
      fields.read("protect_fraction", kShare, &sparsity.protect.fraction));
  TSR_RETURN_IF_ERROR(fields.read("grid", find_grid, &sparsity.protect.grid));
  TSR_RETURN_IF_ERROR(
      fields.read("importance", find_importance, &sparsity.importance));
  return fields.finish();
}

Status read_rotation(const YamlNode& node, Recipe& recipe) {
  TSR_ASSIGN_OR_RETURN(YamlFields fields, YamlFields::open(node, "rotation"));
  uint32_t seed = 0;
  TSR_RETURN_IF_ERROR(fields.read("seed", kSeed, &seed));
  recipe.rotation_seed = seed;
  return fields.finish();
}

Status read_calibration(const YamlNode& node, CalibrationOptions& calibration) {
  TSR_ASSIGN_OR_RETURN(YamlFields fields,
                       YamlFields::open(node, "calibration"));
  TSR_RETURN_IF_ERROR(fields.read("text", &calibration.text));
  TSR_RETURN_IF_ERROR(
      fields.read("max_tokens", kTokens, &calibration.max_tokens));
  TSR_RETURN_IF_ERROR(fields.read("context", kContext, &calibration.context));
  return fields.finish();
}

Status read_output(const YamlNode& node, OutputOptions& output) {
  TSR_ASSIGN_OR_RETURN(YamlFields fields, YamlFields::open(node, "output"));
  TSR_RETURN_IF_ERROR(
      fields.read("format", find_output_format, &output.format));
  return fields.finish();
}

}  // namespace

Result<std::string> find_scheme_or_float(std::string_view name) {
  if (name == "float") return std::string(name);
  return find_whole_scheme(name);
}

Result<uint32_t> read_disable_level(const YamlNode& node,
                                    const std::string& name) {
  if (node.text.starts_with('L')) {
    Result<uint32_t> level = parse_disable_level(node.text);
    if (level.ok()) return level;
  }
  return yaml_count(node, name, kLevel);
}

Result<RecipeFile> read_own_recipe(const YamlNode& root) {
  TSR_ASSIGN_OR_RETURN(YamlFields fields, YamlFields::open(root, ""));
  RecipeFile file;
  Recipe& recipe = file.recipe;
  TSR_RETURN_IF_ERROR(read_rules(fields, recipe));
  if (const YamlNode* node = fields.take("weights")) {
    TSR_RETURN_IF_ERROR(read_weights(*node, recipe));
  }
  if (const YamlNode* node = fields.take("activations")) {
    TSR_RETURN_IF_ERROR(read_activations(*node, recipe.activations));
  }
  if (const YamlNode* node = fields.take("outliers")) {
    TSR_RETURN_IF_ERROR(read_outliers(*node, recipe.outliers));
  }
  if (const YamlNode* node = fields.take("rotation")) {
    TSR_RETURN_IF_ERROR(read_rotation(*node, recipe));
  }
  if (const YamlNode* node = fields.take("sparsity")) {
    TSR_RETURN_IF_ERROR(read_sparsity(*node, recipe.sparsity));
  }
  if (const YamlNode* node = fields.take("calibration")) {
    TSR_RETURN_IF_ERROR(read_calibration(*node, file.calibration));
  }
  if (const YamlNode* node = fields.take("output")) {
    TSR_RETURN_IF_ERROR(read_output(*node, file.output));
  }
  TSR_RETURN_IF_ERROR(fields.finish());
  if (recipe.schemes.default_scheme.empty()) {
    return Status(TSR_INVALID_ARGUMENT, "no scheme");
  }
  return file;
}

}  // namespace tessera::quant
