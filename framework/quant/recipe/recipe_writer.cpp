// SPDX-License-Identifier: Apache-2.0

#include "framework/quant/recipe/recipe_writer.hpp"

#include <fmt/format.h>
#include <yaml-cpp/emitter.h>
#include <yaml-cpp/emittermanip.h>

#include "framework/format/scheme.hpp"

namespace tessera::quant {
namespace {

const char* name_of(WeightMethod method) {
  return method == WeightMethod::kGptq ? "gptq" : "nearest";
}

const char* name_of(OutlierMethod method) {
  switch (method) {
    case OutlierMethod::kSmoothQuant:
      return "smooth_quant";
    case OutlierMethod::kAwq:
      return "awq";
    case OutlierMethod::kIterativeSmooth:
      return "iterative_smooth";
    case OutlierMethod::kFlexSmooth:
      return "flex_smooth";
    case OutlierMethod::kNone:
      break;
  }
  return "none";
}

const char* name_of(Subgraph subgraph) {
  switch (subgraph) {
    case Subgraph::kNormMlp:
      return "norm_mlp";
    case Subgraph::kValueOutput:
      return "value_output";
    case Subgraph::kUpDown:
      return "up_down";
    case Subgraph::kNormAttention:
      break;
  }
  return "norm_attention";
}

const char* name_of(RangeRule rule) {
  switch (rule) {
    case RangeRule::kPercentile:
      return "percentile";
    case RangeRule::kMse:
      return "mse";
    case RangeRule::kHistogram:
      return "histogram";
    case RangeRule::kEntropy:
      return "entropy";
    case RangeRule::kMinMax:
      break;
  }
  return "minmax";
}

const char* name_of(SensitivityMetric metric) {
  switch (metric) {
    case SensitivityMetric::kRangeParm:
      return "range_parm";
    case SensitivityMetric::kQuantile:
      return "quantile";
    case SensitivityMetric::kLayerMse:
      return "layer_mse";
    case SensitivityMetric::kKurtosis:
      break;
  }
  return "kurtosis";
}

const char* name_of(Importance importance) {
  switch (importance) {
    case Importance::kWanda:
      return "wanda";
    case Importance::kSparseGpt:
      return "sparsegpt";
    case Importance::kMagnitude:
      break;
  }
  return "magnitude";
}

class RecipeWriter {
 public:
  explicit RecipeWriter(const RecipeFile& file)
      : file_(file), recipe_(file.recipe) {}

  std::string write() {
    out_ << YAML::BeginMap;
    put_rules();
    put_weights();
    put_activations();
    put_outliers();
    if (recipe_.rotation_seed) {
      begin("rotation");
      put("seed", *recipe_.rotation_seed);
      end();
    }
    put_sparsity();
    put_calibration();
    if (file_.output.format != "auto") {
      begin("output");
      put("format", file_.output.format);
      end();
    }
    out_ << YAML::EndMap;
    return std::string(out_.c_str()) + "\n";
  }

 private:
  void put(const char* key, const std::string& value) {
    out_ << YAML::Key << key << YAML::Value << value;
  }
  void put(const char* key, bool value) {
    out_ << YAML::Key << key << YAML::Value << value;
  }
  void put(const char* key, uint32_t value) {
    out_ << YAML::Key << key << YAML::Value << value;
  }
  // The shortest text that reads as the same number.
  void put(const char* key, double value) {
    out_ << YAML::Key << key << YAML::Value << fmt::format("{}", value);
  }
  void begin(const char* key) {
    out_ << YAML::Key << key << YAML::Value << YAML::BeginMap;
  }
  void end() { out_ << YAML::EndMap; }

  void put_rules() {
    const SchemeRules& rules = recipe_.schemes;
    put("scheme", rules.default_scheme);
    put("fallback_scheme", rules.fallback_scheme);
    if (!rules.schemes.empty()) {
      begin("layers");
      for (const auto& [glob, scheme] : rules.schemes) {
        out_ << YAML::Key << YAML::DoubleQuoted << glob << YAML::Value
             << scheme;
      }
      end();
    }
    if (!rules.disable_names.empty()) {
      out_ << YAML::Key << "disable_names" << YAML::Value << YAML::BeginSeq;
      for (const std::string& glob : rules.disable_names) {
        out_ << YAML::DoubleQuoted << glob;
      }
      out_ << YAML::EndSeq;
    }
    if (rules.disable_level > 0) put("disable_level", rules.disable_level);
    put("sensitivity", std::string(name_of(recipe_.metric)));
  }

  void put_weights() {
    const bool gptq = recipe_.weights == WeightMethod::kGptq;
    if (!gptq && recipe_.clip.num_steps == 0) return;
    begin("weights");
    put("method", std::string(name_of(recipe_.weights)));
    if (gptq) {
      put("act_order", recipe_.gptq.act_order);
      put("static_groups", recipe_.gptq.static_groups);
      put("damping", recipe_.gptq.damping);
    }
    put("clip_steps", recipe_.clip.num_steps);
    out_ << YAML::Key << "clip_smallest" << YAML::Value
         << fmt::format("{}", recipe_.clip.smallest);
    end();
  }

  void put_activations() {
    const RangeOptions& ranges = recipe_.activations;
    const bool symmetric = ranges.codes == ActivationCodes::kSymmetricS8;
    if (ranges.rule == RangeRule::kMinMax && symmetric) return;
    begin("activations");
    put("range", std::string(name_of(ranges.rule)));
    put("symmetric", symmetric);
    put("percentile", ranges.percentile);
    end();
  }

  void put_outliers() {
    const OutlierOptions& outliers = recipe_.outliers;
    if (outliers.method == OutlierMethod::kNone) return;
    begin("outliers");
    put("method", std::string(name_of(outliers.method)));
    if (outliers.method == OutlierMethod::kSmoothQuant ||
        outliers.method == OutlierMethod::kIterativeSmooth) {
      put("alpha", outliers.exponents.alpha);
      put("beta", outliers.exponents.beta);
    }
    if (!outliers.subgraphs.empty()) {
      out_ << YAML::Key << "subgraphs" << YAML::Value << YAML::Flow
           << YAML::BeginSeq;
      for (const Subgraph subgraph : outliers.subgraphs) {
        out_ << name_of(subgraph);
      }
      out_ << YAML::EndSeq;
    }
    end();
  }

  void put_sparsity() {
    const Result<Scheme> scheme = find_scheme(recipe_.schemes.default_scheme);
    const SparsityOptions& sparsity = recipe_.sparsity;
    const bool sparsified = scheme.ok() && scheme->sparsified;
    if (!sparsified && sparsity.zero_fraction == 0.0) return;
    begin("sparsity");
    put("zero_fraction", sparsity.zero_fraction);
    put("protect_fraction", sparsity.protect.fraction);
    put("grid",
        std::string(sparsity.protect.grid == SparseGrid::kBook ? "book"
                                                               : "uniform"));
    put("importance", std::string(name_of(sparsity.importance)));
    end();
  }

  void put_calibration() {
    const CalibrationOptions& calibration = file_.calibration;
    if (calibration.text.empty() && calibration.max_tokens == 0 &&
        calibration.context == 0) {
      return;
    }
    begin("calibration");
    if (!calibration.text.empty()) put("text", calibration.text);
    if (calibration.max_tokens > 0) put("max_tokens", calibration.max_tokens);
    if (calibration.context > 0) put("context", calibration.context);
    end();
  }

  const RecipeFile& file_;
  const Recipe& recipe_;
  YAML::Emitter out_;
};

}  // namespace

std::string recipe_text(const RecipeFile& file) {
  return RecipeWriter(file).write();
}

}  // namespace tessera::quant
