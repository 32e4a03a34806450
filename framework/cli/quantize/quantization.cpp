// SPDX-License-Identifier: Apache-2.0

#include "framework/cli/quantize/quantization.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "framework/cli/target_options.hpp"
#include "framework/eval/documents.hpp"

namespace tessera::cli {
namespace {

Result<std::string> choose_text(const Model& model, const std::string& text) {
  if (!text.empty()) return text;
  const std::string beside = model.folder + "/text/calibrate.txt";
  std::error_code code;
  if (std::filesystem::is_regular_file(beside, code)) return beside;
  return Status(TSR_NOT_FOUND, "--calib FILE is needed: there is no " + beside);
}

// Cuts texts from the end until `limit` tokens are left.
std::vector<std::vector<int32_t>> first_tokens(
    const std::vector<std::vector<int32_t>>& texts, uint64_t limit) {
  std::vector<std::vector<int32_t>> kept;
  for (const std::vector<int32_t>& text : texts) {
    if (limit == 0) break;
    kept.push_back(text);
    kept.back().resize(std::min<uint64_t>(text.size(), limit));
    limit -= kept.back().size();
  }
  return kept;
}

}  // namespace

void add_quantization_options(CLI::App& app, QuantizationOptions& options) {
  add_model_option(app, options.model);
  app.add_option("--scheme", options.scheme,
                 "Precision: w8a8, w8a8_dynamic, w8a8sc, w4a16_g128, q4_0, ...")
      ->check(scheme_validator())
      ->type_name("SCHEME");
  app.add_option("--method", options.method,
                 "How weights are rounded: nearest or gptq")
      ->check(CLI::IsMember({"nearest", "gptq"}))
      ->type_name("METHOD")
      ->capture_default_str();
  app.add_option("--outliers", options.outliers,
                 "Outlier suppression: none, smooth_quant, awq, "
                 "iterative_smooth or flex_smooth")
      ->type_name("METHOD")
      ->capture_default_str();
  app.add_option("--disable", options.disable_names,
                 "Linears to leave in floats: globs such as *.down_proj")
      ->delimiter(',')
      ->type_name("GLOB");
  app.add_option("--disable-level", options.disable_level,
                 "Leave the N most sensitive linears in floats: L5")
      ->type_name("L<N>");
  app.add_option("--calib", options.calibration_text,
                 "Calibration documents; left out: text/calibrate.txt of the "
                 "model")
      ->type_name("FILE");
  app.add_option("--calib-tokens", options.calibration_tokens,
                 "Calibration tokens, at most")
      ->check(count_validator(1))
      ->type_name("N")
      ->capture_default_str();
  app.add_option("--device", options.device, "Device that calibrates")
      ->type_name("DEVICE")
      ->capture_default_str();
  add_threads_option(app, options.threads);
}

Result<quant::Recipe> recipe_of(const QuantizationOptions& options) {
  quant::Recipe recipe;
  recipe.schemes.default_scheme = options.scheme;
  recipe.schemes.fallback_scheme = "float";
  recipe.schemes.disable_names = options.disable_names;
  TSR_ASSIGN_OR_RETURN(recipe.weights,
                       quant::find_weight_method(options.method));
  TSR_ASSIGN_OR_RETURN(
      recipe.outliers.method,
      quant::find_outlier_method(options.outliers).annotate("--outliers"));
  if (!options.disable_level.empty()) {
    TSR_ASSIGN_OR_RETURN(recipe.schemes.disable_level,
                         quant::parse_disable_level(options.disable_level)
                             .annotate("--disable-level"));
  }
  return recipe;
}

quant::QuantizeInputs Quantization::inputs(
    uint32_t num_tokens, std::function<void(double share)> on_progress) const {
  return {loaded.model->config,
          loaded.source,
          device,
          num_tokens == 0 ? texts : first_tokens(texts, num_tokens),
          quant::run_on(*pool),
          std::move(on_progress)};
}

Result<Quantization> open_quantization(const QuantizationOptions& options,
                                       bool with_calibration) {
  Quantization opened;
  TSR_ASSIGN_OR_RETURN(opened.loaded, load_model(options.model));
  opened.pool = std::make_unique<ThreadPool>(options.threads);
  if (!with_calibration) return opened;
  const Model& model = *opened.loaded.model;
  TSR_ASSIGN_OR_RETURN(const std::string path,
                       choose_text(model, options.calibration_text));
  const uint32_t longest = std::min(
      options.context == 0 ? model.config.max_positions : options.context,
      model.config.max_positions);
  TSR_ASSIGN_OR_RETURN(opened.texts,
                       read_documents(model.tokenizer, path, longest));
  opened.texts = first_tokens(opened.texts, options.calibration_tokens);
  const Registry registry = discover_plugins(options.threads, false);
  TSR_ASSIGN_OR_RETURN(opened.device,
                       registry.open(options.device).annotate("--device"));
  return opened;
}

}  // namespace tessera::cli
