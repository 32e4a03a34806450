// SPDX-License-Identifier: Apache-2.0
//
// modelslim_v1: a list of processors, each with the layers it takes.

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "framework/format/scheme.hpp"
#include "framework/quant/recipe/recipe_fields.hpp"
#include "framework/quant/recipe/yaml_fields.hpp"

namespace tessera::quant {
namespace {

constexpr YamlRange kShare = {0.0, 1.0};
constexpr YamlRange kGroup = {0, 1 << 20};
constexpr double kIterativeAlpha = 0.9;
// Braces multiply: {1,2}{1,2}{1,2}.
constexpr size_t kMaxPatterns = 1000;

// Layers that get one scheme.
struct LinearRule {
  const YamlNode* node = nullptr;
  std::string scheme;
  std::vector<std::string> include;
  std::vector<std::string> exclude;
};

std::string text_at(const YamlNode* map, std::string_view key) {
  const YamlNode* field = map == nullptr ? nullptr : find_field(*map, key);
  return field == nullptr ? "" : field->text;
}

// model.layers.{0,1}.mlp as two patterns; globs have no braces.
Status expand_braces(const YamlNode& node, const std::string& pattern,
                     std::vector<std::string>& out) {
  const size_t open = pattern.find('{');
  const size_t close =
      open == std::string::npos ? open : pattern.find('}', open);
  if (close == std::string::npos) {
    if (out.size() >= kMaxPatterns) {
      return yaml_error(node, "spec.process",
                        fmt::format("more than {} patterns", kMaxPatterns));
    }
    out.push_back(pattern);
    return {};
  }
  const std::string head = pattern.substr(0, open);
  const std::string tail = pattern.substr(close + 1);
  size_t begin = open + 1;
  while (begin <= close) {
    const size_t end = std::min(pattern.find(',', begin), close);
    std::string expanded = head;
    expanded.append(pattern, begin, end - begin).append(tail);
    TSR_RETURN_IF_ERROR(expand_braces(node, expanded, out));
    begin = end + 1;
  }
  return {};
}

Status read_patterns(YamlFields& fields, std::string_view key,
                     std::vector<std::string>& out) {
  const YamlNode* node = fields.take(key);
  if (node == nullptr) return {};
  TSR_ASSIGN_OR_RETURN(const auto texts,
                       yaml_texts(*node, fields.name_of(key)));
  for (const std::string& text : texts) {
    TSR_RETURN_IF_ERROR(expand_braces(*node, text, out));
  }
  return {};
}

// "w8a8_dynamic" for int8 weights and int8 activations per token; "" for none
// of ours.
Result<std::string> scheme_name(const YamlNode& qconfig) {
  const YamlNode* weight = find_field(qconfig, "weight");
  const YamlNode* act = find_field(qconfig, "act");
  const std::string weights = text_at(weight, "dtype");
  const std::string acts = text_at(act, "dtype");
  const std::string scope = text_at(act, "scope");
  const bool floats = acts.empty() || acts == "float";
  if (weights == "int8") {
    if (floats) return std::string("w8a16");
    if (acts == "int8" && scope == "per_token") {
      return std::string("w8a8_dynamic");
    }
    if (acts == "int8" && scope == "per_tensor") return std::string("w8a8");
    if (acts == "int8" && scope == "pd_mix") return std::string("w8a8_mix");
    return std::string();
  }
  if (weights != "int4") return std::string();
  std::string group = "_channel";
  if (text_at(weight, "scope") == "per_group") {
    const YamlNode* ext = find_field(*weight, "ext");
    const YamlNode* size =
        ext == nullptr ? nullptr : find_field(*ext, "group_size");
    uint32_t group_size = 128;
    if (size != nullptr) {
      TSR_ASSIGN_OR_RETURN(group_size, yaml_count(*size, "group_size", kGroup));
    }
    group = fmt::format("_g{}", group_size);
  }
  if (floats) return "w4a16" + group;
  if (scope != "per_token") return std::string();
  return (acts == "int8" ? "w4a8" : "w4a4") + group;
}

class ProcessReader {
 public:
  explicit ProcessReader(RecipeFile& file) : file_(file) {}

  Status read(const YamlNode& process) {
    if (process.kind != YamlNode::Kind::kSequence) {
      return yaml_error(process, "spec.process", "not a list");
    }
    for (const YamlNode& item : process.items) {
      TSR_RETURN_IF_ERROR(read_processor(item));
    }
    if (rules_.empty()) {
      return yaml_error(process, "spec.process", "quantizes no linear");
    }
    return apply_rules();
  }

 private:
  Status read_processor(const YamlNode& node) {
    const std::string type = text_at(&node, "type");
    if (type == "linear_quant") return read_linear(node);
    if (type == "group") return read_linears(node, "configs");
    if (type == "autoround_quant") {
      ignore(node, "autoround_quant", "read as rounding to nearest");
      return read_linears(node, "strategies");
    }
    if (type == "iter_smooth") {
      return read_smooth(node, OutlierMethod::kIterativeSmooth);
    }
    if (type == "flex_smooth_quant") {
      return read_smooth(node, OutlierMethod::kFlexSmooth);
    }
    if (type == "smooth_quant") {
      return read_smooth(node, OutlierMethod::kSmoothQuant);
    }
    if (type == "dynamic_cache") {
      attention_ = "_kv8_channel";
      return {};
    }
    if (type == "fa3_quant") {
      attention_ = "_fa3";
      return {};
    }
    ignore(node, type, "no counterpart here");
    return {};
  }

  Status read_linears(const YamlNode& node, std::string_view key) {
    const YamlNode* list = find_field(node, key);
    if (list == nullptr || list->kind != YamlNode::Kind::kSequence) {
      return yaml_error(node, "spec.process", fmt::format("no {}", key));
    }
    for (const YamlNode& item : list->items) {
      TSR_RETURN_IF_ERROR(read_linear(item));
    }
    return {};
  }

  Status read_linear(const YamlNode& node) {
    TSR_ASSIGN_OR_RETURN(YamlFields fields,
                         YamlFields::open(node, "spec.process"));
    const YamlNode* qconfig = fields.take("qconfig");
    if (qconfig == nullptr) {
      return yaml_error(node, "spec.process", "linears without qconfig");
    }
    LinearRule rule;
    rule.node = &node;
    TSR_ASSIGN_OR_RETURN(rule.scheme, scheme_name(*qconfig));
    if (rule.scheme.empty() || !find_scheme(rule.scheme).ok()) {
      return yaml_error(*qconfig, "spec.process.qconfig",
                        "no scheme of that weight and act");
    }
    TSR_RETURN_IF_ERROR(read_patterns(fields, "include", rule.include));
    TSR_RETURN_IF_ERROR(read_patterns(fields, "exclude", rule.exclude));
    if (rule.include.empty()) rule.include.emplace_back("*");
    rules_.push_back(std::move(rule));
    return read_methods(*qconfig);
  }

  Status read_methods(const YamlNode& qconfig) {
    const YamlNode* weight = find_field(qconfig, "weight");
    const std::string method = text_at(weight, "method");
    if (method == "gptq") {
      file_.recipe.weights = WeightMethod::kGptq;
    } else if (!method.empty() && method != "minmax" && method != "autoround") {
      ignore(*weight, "weight.method " + method, "read as minmax");
    }
    const YamlNode* act = find_field(qconfig, "act");
    if (act == nullptr || text_at(act, "scope") == "per_token") return {};
    if (text_at(act, "method") == "histogram") {
      file_.recipe.activations.rule = RangeRule::kHistogram;
    }
    if (const YamlNode* symmetric = find_field(*act, "symmetric")) {
      TSR_ASSIGN_OR_RETURN(const bool is_symmetric,
                           yaml_bool(*symmetric, "act.symmetric"));
      file_.recipe.activations.codes = is_symmetric
                                           ? ActivationCodes::kSymmetricS8
                                           : ActivationCodes::kAsymmetricS8;
    }
    return {};
  }

  Status read_smooth(const YamlNode& node, OutlierMethod method) {
    OutlierOptions& outliers = file_.recipe.outliers;
    if (outliers.method != OutlierMethod::kNone) {
      ignore(node, text_at(&node, "type"), "one step against outliers only");
      return {};
    }
    TSR_ASSIGN_OR_RETURN(YamlFields fields,
                         YamlFields::open(node, "spec.process"));
    const bool fixed =
        fields.take("alpha") != nullptr && fields.take("beta") != nullptr;
    SmoothExponents& exponents = outliers.exponents;
    if (method == OutlierMethod::kIterativeSmooth) {
      exponents.alpha = kIterativeAlpha;
    }
    TSR_RETURN_IF_ERROR(fields.read("alpha", kShare, &exponents.alpha));
    exponents.beta = 1.0 - exponents.alpha;
    TSR_RETURN_IF_ERROR(fields.read("beta", kShare, &exponents.beta));
    // With nothing left to search it is Iterative Smooth.
    outliers.method = method == OutlierMethod::kFlexSmooth && fixed
                          ? OutlierMethod::kIterativeSmooth
                          : method;
    fields.take("type");
    TSR_RETURN_IF_ERROR(read_subgraphs(fields, outliers.subgraphs));
    for (const YamlNode& item : node.items) {
      const auto& known = fields.known();
      const bool all = item.key == "include" && item.items.size() == 1 &&
                       item.items[0].text == "*";
      if (!all && std::ranges::find(known, item.key) == known.end()) {
        ignore_field(item, fields.name_of(item.key), "no meaning here", file_);
      }
    }
    return {};
  }

  static Status read_subgraphs(YamlFields& fields, std::vector<Subgraph>& out) {
    const YamlNode* list = fields.take("enable_subgraph_type");
    if (list == nullptr) return {};
    TSR_ASSIGN_OR_RETURN(
        const auto names,
        yaml_texts(*list, fields.name_of("enable_subgraph_type")));
    for (const std::string& name : names) {
      if (name == "norm-linear") {
        out.push_back(Subgraph::kNormAttention);
        out.push_back(Subgraph::kNormMlp);
      } else if (name == "ov") {
        out.push_back(Subgraph::kValueOutput);
      } else if (name == "up-down") {
        out.push_back(Subgraph::kUpDown);
      } else if (name != "linear-linear") {  // our blocks have none
        return yaml_error(*list, fields.name_of("enable_subgraph_type"),
                          name +
                              " is not norm-linear, linear-linear, ov or "
                              "up-down");
      }
    }
    return {};
  }

  // First rule that includes a layer and does not exclude it, as a list whose
  // first match wins.
  Status apply_rules() {
    SchemeRules& schemes = file_.recipe.schemes;
    schemes.default_scheme = "float";
    const bool same_excludes =
        std::ranges::all_of(rules_, [this](const LinearRule& rule) {
          return rule.exclude == rules_.front().exclude;
        });
    if (same_excludes) schemes.disable_names = rules_.front().exclude;
    for (const LinearRule& rule : rules_) {
      const bool is_last = &rule == &rules_.back();
      if (!same_excludes && !rule.exclude.empty()) {
        if (!is_last) {
          return yaml_error(*rule.node, "spec.process",
                            "an exclude that is neither that of all nor of "
                            "the last has no counterpart");
        }
        for (const std::string& pattern : rule.exclude) {
          schemes.schemes.emplace_back(pattern, "float");
        }
      }
      for (const std::string& pattern : rule.include) {
        if (pattern == "*" && is_last) {
          schemes.default_scheme = rule.scheme;
        } else {
          schemes.schemes.emplace_back(pattern, rule.scheme);
        }
      }
    }
    std::erase(schemes.disable_names, "*lm_head*");
    std::erase(schemes.disable_names, "lm_head");
    if (schemes.default_scheme != "float") {
      schemes.default_scheme += attention_;
    }
    return {};
  }

  void ignore(const YamlNode& node, const std::string& what,
              std::string_view why) {
    file_.ignored.push_back(
        fmt::format("spec.process line {} {}: {}", node.line, what, why));
  }

  RecipeFile& file_;
  std::vector<LinearRule> rules_;
  std::string attention_;  // the scheme's ending
};

}  // namespace

Status read_msmodelslim_process(const YamlNode& process, RecipeFile& file) {
  return ProcessReader(file).read(process);
}

}  // namespace tessera::quant
