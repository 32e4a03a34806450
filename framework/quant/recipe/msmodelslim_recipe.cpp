// SPDX-License-Identifier: Apache-2.0
//
// msModelSlim's files: what they ask for in our words, and a list of what has
// none.

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "framework/format/scheme.hpp"
#include "framework/quant/recipe/recipe_fields.hpp"
#include "framework/quant/recipe/yaml_fields.hpp"

namespace tessera::quant {
namespace {

constexpr YamlRange kBits = {2, 32};
constexpr YamlRange kShare = {0.0, 1.0};
constexpr YamlRange kGroup = {0, 1 << 20};
constexpr double kIterativeAlpha = 0.9;

constexpr const char* kNoMeaning = "no meaning here";

// calib_cfg: which scheme.
struct Precision {
  uint32_t w_bit = 8;
  uint32_t a_bit = 8;
  uint32_t group_size = 0;
  bool pdmix = false;
  bool is_dynamic = false;
  bool is_lowbit = false;
  bool co_sparse = false;
  bool w_sym = true;
  bool kv_cache = false;
  bool attention = false;  // FA3
};

// Names a key of a map and what it is called in messages.
void ignore_rest(const YamlNode& map, const std::string& name,
                 const std::vector<std::string>& known, RecipeFile& file) {
  for (const YamlNode& item : map.items) {
    if (std::find(known.begin(), known.end(), item.key) == known.end()) {
      ignore_field(item, name + item.key, kNoMeaning, file);
    }
  }
}

std::string scheme_of(const Precision& asked) {
  const bool sparse = asked.is_lowbit || asked.co_sparse;
  const std::string group = asked.group_size == 0
                                ? "_channel"
                                : fmt::format("_g{}", asked.group_size);
  if (asked.w_bit == 4 && asked.a_bit == 16) {
    return "w4a16" + group + (asked.w_sym ? "" : "_asym");
  }
  if (asked.w_bit == 8 && asked.a_bit == 16) return "w8a16";
  if (asked.w_bit == 4 && asked.a_bit == 8) {
    return sparse ? "w8a8s" : "w4a8" + group;
  }
  if (asked.w_bit == 4 && asked.a_bit == 4) return "w4a4" + group;
  if (asked.w_bit != 8 || asked.a_bit != 8) return "";
  if (asked.pdmix) return "w8a8_mix";
  return asked.is_dynamic ? "w8a8_dynamic" : "w8a8";
}

Status read_precision(const YamlNode& node, YamlFields& fields,
                      RecipeFile& file) {
  Precision asked;
  TSR_RETURN_IF_ERROR(fields.read("w_bit", kBits, &asked.w_bit));
  TSR_RETURN_IF_ERROR(fields.read("a_bit", kBits, &asked.a_bit));
  TSR_RETURN_IF_ERROR(fields.read("group_size", kGroup, &asked.group_size));
  TSR_RETURN_IF_ERROR(fields.read("pdmix", &asked.pdmix));
  TSR_RETURN_IF_ERROR(fields.read("is_dynamic", &asked.is_dynamic));
  TSR_RETURN_IF_ERROR(fields.read("is_lowbit", &asked.is_lowbit));
  TSR_RETURN_IF_ERROR(fields.read("co_sparse", &asked.co_sparse));
  TSR_RETURN_IF_ERROR(fields.read("w_sym", &asked.w_sym));
  TSR_RETURN_IF_ERROR(fields.read("use_kvcache_quant", &asked.kv_cache));
  TSR_RETURN_IF_ERROR(fields.read("fa_quant", &asked.attention));
  const std::string name = scheme_of(asked);
  const Result<Scheme> scheme = find_scheme(name);
  if (name.empty() || !scheme.ok()) {
    return yaml_error(node, "spec.calib_cfg",
                      fmt::format("no scheme for w_bit {}, a_bit {}, "
                                  "group_size {}",
                                  asked.w_bit, asked.a_bit, asked.group_size));
  }
  if (const YamlNode* group = find_field(node, "group_size");
      group != nullptr && scheme->group_size == 0 && asked.group_size != 0) {
    ignore_field(*group, "spec.calib_cfg.group_size",
                 name + " has a scale per row", file);
  }
  if (asked.kv_cache && asked.attention) {
    return yaml_error(node, "spec.calib_cfg",
                      "use_kvcache_quant and fa_quant exclude each other");
  }
  file.recipe.schemes.default_scheme = name +
                                       (asked.kv_cache ? "_kv8_channel" : "") +
                                       (asked.attention ? "_fa3" : "");
  return {};
}

// What calib_cfg says besides precisions.
Status read_calib_cfg(const YamlNode& node, RecipeFile& file) {
  TSR_ASSIGN_OR_RETURN(YamlFields fields,
                       YamlFields::open(node, "spec.calib_cfg"));
  Recipe& recipe = file.recipe;
  TSR_RETURN_IF_ERROR(read_precision(node, fields, file));
  TSR_RETURN_IF_ERROR(
      fields.read("fraction", kShare, &recipe.sparsity.protect.fraction));
  TSR_RETURN_IF_ERROR(
      fields.read("disable_names", &recipe.schemes.disable_names));
  if (std::erase(recipe.schemes.disable_names, "lm_head") > 0) {
    file.ignored.push_back(
        "spec.calib_cfg.disable_names lm_head: the head keeps its floats "
        "anyway");
  }
  if (const YamlNode* level = fields.take("disable_level")) {
    TSR_ASSIGN_OR_RETURN(
        recipe.schemes.disable_level,
        read_disable_level(*level, "spec.calib_cfg.disable_level"));
  }
  if (const YamlNode* method = fields.take("act_method")) {
    if (method->text == "2") {
      recipe.activations.rule = RangeRule::kHistogram;
    } else if (method->text != "1") {
      ignore_field(*method, "spec.calib_cfg.act_method", "read as 1, min-max",
                   file);
    }
  }
  if (const YamlNode* method = fields.take("w_method")) {
    if (method->text == "GPTQ") {
      recipe.weights = WeightMethod::kGptq;
    } else if (method->text != "MinMax") {
      ignore_field(*method, "spec.calib_cfg.w_method", "read as MinMax", file);
    }
  }
  bool mm_tensor = false;
  TSR_RETURN_IF_ERROR(fields.read("mm_tensor", &mm_tensor));
  if (mm_tensor) {
    ignore_field(*find_field(node, "mm_tensor"), "spec.calib_cfg.mm_tensor",
                 "weights have a scale per row here", file);
  }
  ignore_rest(node, "spec.calib_cfg.", fields.known(), file);
  return {};
}

Status read_anti_cfg(const YamlNode& node, RecipeFile& file) {
  TSR_ASSIGN_OR_RETURN(YamlFields fields,
                       YamlFields::open(node, "spec.anti_cfg"));
  OutlierOptions& outliers = file.recipe.outliers;
  const YamlNode* method = fields.take("anti_method");
  if (method != nullptr && method->text == "m5") {
    ignore_field(*method, "spec.anti_cfg.anti_method",
                 "CBQ has no counterpart here", file);
  } else {
    TSR_RETURN_IF_ERROR(
        fields.read("anti_method", find_outlier_method, &outliers.method));
  }
  if (outliers.method == OutlierMethod::kIterativeSmooth) {
    outliers.exponents = {kIterativeAlpha, 1.0 - kIterativeAlpha};
  }
  if (const YamlNode* flex = fields.take("flex_config")) {
    TSR_ASSIGN_OR_RETURN(YamlFields pair,
                         YamlFields::open(*flex, "spec.anti_cfg.flex_config"));
    const bool fixed =
        pair.take("alpha") != nullptr && pair.take("beta") != nullptr;
    TSR_RETURN_IF_ERROR(pair.read("alpha", kShare, &outliers.exponents.alpha));
    TSR_RETURN_IF_ERROR(pair.read("beta", kShare, &outliers.exponents.beta));
    if (fixed && outliers.method == OutlierMethod::kFlexSmooth) {
      // With nothing left to search it is Iterative Smooth.
      outliers.method = OutlierMethod::kIterativeSmooth;
    } else {
      ignore_field(*flex, "spec.anti_cfg.flex_config", kNoMeaning, file);
    }
  }
  ignore_rest(node, "spec.anti_cfg.", fields.known(), file);
  return {};
}

Status read_calib_params(const YamlNode& node, RecipeFile& file) {
  TSR_ASSIGN_OR_RETURN(YamlFields fields,
                       YamlFields::open(node, "spec.calib_params"));
  SchemeRules& rules = file.recipe.schemes;
  if (const YamlNode* level = fields.take("disable_level")) {
    TSR_ASSIGN_OR_RETURN(
        rules.disable_level,
        read_disable_level(*level, "spec.calib_params.disable_level"));
  }
  if (const YamlNode* mix = fields.take("mix_cfg")) {
    TSR_ASSIGN_OR_RETURN(YamlFields schemes,
                         YamlFields::open(*mix, "spec.calib_params.mix_cfg"));
    for (const YamlNode& item : mix->items) {
      std::string scheme;
      TSR_RETURN_IF_ERROR(
          schemes.read(item.key, find_scheme_or_float, &scheme));
      rules.schemes.emplace_back(item.key, std::move(scheme));
    }
  }
  ignore_rest(node, "spec.calib_params.", fields.known(), file);
  return {};
}

// Names of data sets mean files of msModelSlim's own; only a path is one here.
void read_dataset(const YamlNode& node, const std::string& name,
                  RecipeFile& file) {
  if (node.kind == YamlNode::Kind::kScalar &&
      node.text.find('/') != std::string::npos) {
    file.calibration.text = node.text;
    return;
  }
  ignore_field(node, name, "a file of msModelSlim, name a text instead", file);
}

Status read_spec(const YamlNode& node, RecipeFile& file) {
  TSR_ASSIGN_OR_RETURN(YamlFields fields, YamlFields::open(node, "spec"));
  if (const YamlNode* part = fields.take("calib_cfg")) {
    TSR_RETURN_IF_ERROR(read_calib_cfg(*part, file));
  }
  if (const YamlNode* part = fields.take("anti_cfg")) {
    TSR_RETURN_IF_ERROR(read_anti_cfg(*part, file));
  }
  if (const YamlNode* part = fields.take("calib_params")) {
    TSR_RETURN_IF_ERROR(read_calib_params(*part, file));
  }
  if (const YamlNode* part = fields.take("process")) {
    TSR_RETURN_IF_ERROR(read_msmodelslim_process(*part, file));
  }
  for (const char* key :
       {"calib_dataset", "calib_file", "dataset", "anti_dataset"}) {
    const YamlNode* part = fields.take(key);
    if (part != nullptr) read_dataset(*part, fields.name_of(key), file);
  }
  if (const YamlNode* part = fields.take("calib_save_params")) {
    ignore_rest(*part, "spec.calib_save_params.", {}, file);
  }
  ignore_rest(node, "spec.", fields.known(), file);
  if (file.recipe.schemes.default_scheme.empty()) {
    return yaml_error(node, "spec", "neither calib_cfg nor process");
  }
  return {};
}

}  // namespace

void ignore_field(const YamlNode& node, const std::string& name,
                  std::string_view why, RecipeFile& file) {
  const bool is_scalar = node.kind == YamlNode::Kind::kScalar;
  file.ignored.push_back(is_scalar
                             ? fmt::format("{} {}: {}", name, node.text, why)
                             : fmt::format("{}: {}", name, why));
}

Result<RecipeFile> read_msmodelslim(const YamlNode& root) {
  TSR_ASSIGN_OR_RETURN(YamlFields fields, YamlFields::open(root, ""));
  RecipeFile file;
  file.recipe.schemes.fallback_scheme = "float";
  file.output.format = "msmodelslim";
  const YamlNode* spec = fields.take("spec");
  if (spec == nullptr) {
    return Status(TSR_INVALID_ARGUMENT, "no spec in a file of msModelSlim");
  }
  fields.take("apiversion");
  TSR_RETURN_IF_ERROR(read_spec(*spec, file));
  if (const YamlNode* metadata = fields.take("metadata")) {
    ignore_rest(*metadata, "metadata.", {}, file);
  }
  ignore_rest(root, "", fields.known(), file);
  return file;
}

}  // namespace tessera::quant
