// SPDX-License-Identifier: Apache-2.0
//
// tessera quantize: a quantized model in a file or folder.

#include <fmt/format.h>
#include <sys/resource.h>

#include <chrono>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "framework/cli/command.hpp"
#include "framework/cli/console.hpp"
#include "framework/cli/figures.hpp"
#include "framework/cli/interrupt.hpp"
#include "framework/cli/json_output.hpp"
#include "framework/cli/progress.hpp"
#include "framework/cli/quantize/quantization.hpp"
#include "framework/cli/quantize/quantized_output.hpp"
#include "framework/cli/table.hpp"
#include "framework/cli/target_options.hpp"
#include "framework/model/gguf/imatrix.hpp"
#include "framework/quant/output/gguf_mix.hpp"
#include "framework/quant/recipe/recipe_file.hpp"

namespace tessera::cli {
namespace {

struct QuantizeOptions {
  QuantizationOptions quantization;
  std::string config;
  std::string output;
  std::string format = "auto";
  bool restart = false;
  std::string imatrix;
  bool json = false;
};

// What is asked for, wherever it was said.
struct Request {
  quant::Recipe recipe;
  std::string format;
  std::optional<quant::GgufMix> mix;  // of --scheme for a GGUF file
  std::vector<std::string> ignored;
};

// The recipe of --scheme, which may name a mix of GGUF types.
Status take_scheme(const QuantizeOptions& options, Request& request) {
  const std::string& scheme = options.quantization.scheme;
  TSR_ASSIGN_OR_RETURN(request.recipe, recipe_of(options.quantization));
  const bool is_scheme = find_scheme(scheme).ok();
  if (format_for(request.format, options.output) != "gguf") {
    if (is_scheme) return {};
    return {TSR_INVALID_ARGUMENT,
            fmt::format("--scheme {} is a mix of GGUF types: it needs -o "
                        "FILE.gguf or --format gguf",
                        scheme)};
  }
  TSR_ASSIGN_OR_RETURN(request.mix,
                       quant::find_gguf_mix(scheme).annotate("--format gguf"));
  if (!is_scheme) {
    request.recipe.schemes.default_scheme =
        format::weight_format_name(request.mix->format);
  }
  return {};
}

Result<Request> request_of(QuantizeOptions& options) {
  Request request;
  request.format = options.format;
  if (options.config.empty()) {
    TSR_RETURN_IF_ERROR(take_scheme(options, request));
    return request;
  }
  TSR_ASSIGN_OR_RETURN(const std::string path,
                       quant::find_recipe(options.config).annotate("--config"));
  TSR_ASSIGN_OR_RETURN(quant::RecipeFile file, quant::read_recipe(path));
  request.recipe = std::move(file.recipe);
  request.ignored = std::move(file.ignored);
  if (options.format == "auto") request.format = file.output.format;
  QuantizationOptions& chosen = options.quantization;
  chosen.scheme = request.recipe.schemes.default_scheme;
  const quant::CalibrationOptions& calibration = file.calibration;
  if (chosen.calibration_text.empty()) {
    chosen.calibration_text = calibration.text;
  }
  if (calibration.max_tokens > 0) {
    chosen.calibration_tokens = calibration.max_tokens;
  }
  if (calibration.context > 0) chosen.context = calibration.context;
  return request;
}

// The largest resident memory of this process so far.
uint64_t peak_rss_bytes() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<uint64_t>(usage.ru_maxrss) * 1024;
}

uint64_t bytes_at(const std::string& path) {
  std::error_code code;
  if (std::filesystem::is_regular_file(path, code)) {
    return std::filesystem::file_size(path, code);
  }
  uint64_t bytes = 0;
  for (const auto& entry :
       std::filesystem::recursive_directory_iterator(path, code)) {
    if (entry.is_regular_file(code)) bytes += entry.file_size(code);
  }
  return bytes;
}

// Bits per weight of the block linears, all planes and fallbacks counted.
double linear_bits(const quant::QuantizeReport& report) {
  double bits = 0.0;
  double weights = 0.0;
  for (const quant::LayerReport& layer : report.layers) {
    bits += 8.0 * static_cast<double>(layer.bytes_out);
    weights += static_cast<double>(layer.parameters);
  }
  return weights == 0.0 ? 0.0 : bits / weights;
}

struct Outcome {
  quant::QuantizeReport report;
  std::string scheme;
  std::string format;
  std::string output;
  uint64_t bytes_in = 0;
  uint64_t bytes_out = 0;
  uint64_t parameters = 0;
  double seconds = 0.0;
};

double bits_per_weight(const Outcome& outcome) {
  return 8.0 * static_cast<double>(outcome.bytes_out) /
         static_cast<double>(std::max<uint64_t>(outcome.parameters, 1));
}

double layer_bits(const quant::LayerReport& layer) {
  return 8.0 * static_cast<double>(layer.bytes_out) /
         static_cast<double>(std::max<uint64_t>(layer.parameters, 1));
}

Json layer_json(const quant::LayerReport& layer) {
  Json json;
  json["name"] = layer.name;
  json["scheme"] = layer.scheme;
  json["metric"] = layer.metric;
  json["fallback"] = layer.fallback;
  json["reason"] = quant::scheme_reason_name(layer.reason);
  json["mae"] = layer.mae;
  json["mse"] = layer.mse;
  json["sqnr"] = layer.sqnr_db;
  json["cosine"] = layer.cosine;
  json["bytes_in"] = layer.bytes_in;
  json["bytes_out"] = layer.bytes_out;
  json["bits_per_weight"] = layer_bits(layer);
  json["note"] = layer.note;
  return json;
}

Status print_outcome(const Outcome& outcome, const Request& request) {
  Json json;
  json["output"] = outcome.output;
  json["format"] = outcome.format;
  json["scheme"] = outcome.scheme;
  json["bytes_in"] = outcome.bytes_in;
  json["bytes_out"] = outcome.bytes_out;
  json["bits_per_weight"] = bits_per_weight(outcome);
  json["bits_per_weight_linears"] = linear_bits(outcome.report);
  json["peak_rss_bytes"] = peak_rss_bytes();
  json["seconds"] = outcome.seconds;
  json["resumed_layers"] = outcome.report.num_resumed;
  json["warnings"] = outcome.report.warnings;
  json["ignored"] = request.ignored;
  json["layers"] = Json::array();
  for (const quant::LayerReport& layer : outcome.report.layers) {
    json["layers"].push_back(layer_json(layer));
  }
  return print_json("quantize", json);
}

void print_table(const Outcome& outcome, const Request& request) {
  Table table({{"linear"},
               {"scheme"},
               {"bits", Align::kRight},
               {"metric", Align::kRight},
               {"MAE", Align::kRight},
               {"MSE", Align::kRight},
               {"SQNR dB", Align::kRight},
               {"cosine", Align::kRight},
               {"why"}});
  for (const quant::LayerReport& layer : outcome.report.layers) {
    const bool is_float = layer.mse == 0.0 && layer.cosine == 1.0;
    table.add_row({layer.name, layer.scheme,
                   fmt::format("{:.2f}", layer_bits(layer)),
                   fmt::format("{:.3g}", layer.metric),
                   is_float ? "" : fmt::format("{:.3g}", layer.mae),
                   is_float ? "" : fmt::format("{:.3g}", layer.mse),
                   is_float ? "" : fmt::format("{:.1f}", layer.sqnr_db),
                   is_float ? "" : fmt::format("{:.6f}", layer.cosine),
                   layer.note.empty()
                       ? std::string(quant::scheme_reason_name(layer.reason))
                       : layer.note});
  }
  write_out(table.text());
  for (const std::string& warning : outcome.report.warnings) {
    write_out("warning: " + warning + "\n");
  }
  for (const std::string& line : request.ignored) {
    write_out("ignored: " + line + "\n");
  }
  if (outcome.report.num_resumed > 0) {
    write_out(fmt::format("resumed: {} layers were done already\n",
                          outcome.report.num_resumed));
  }
  write_out(fmt::format(
      "\n{}: {}, {} from {}, {:.2f} bits per weight, {:.2f} in the linears; "
      "{:.1f} s, at most {} of memory\n",
      outcome.output, outcome.format, bytes_text(outcome.bytes_out),
      bytes_text(outcome.bytes_in), bits_per_weight(outcome),
      linear_bits(outcome.report), outcome.seconds,
      bytes_text(peak_rss_bytes())));
}

CLI::Validator scheme_or_mix_validator() {
  return {[](std::string& value) -> std::string {
            if (quant::find_gguf_mix(value).ok()) return {};
            const Result<Scheme> scheme = find_scheme(value);
            return scheme.ok() ? std::string()
                               : scheme.status().message() +
                                     "; a GGUF file also takes q4_k_s, q4_k_m, "
                                     "q5_k_s and q5_k_m";
          },
          ""};
}

Status check_output(const std::string& output) {
  std::error_code code;
  if (!std::filesystem::exists(output, code)) return {};
  return {TSR_FAILED_PRECONDITION,
          "-o " + output + ": exists already; nothing was changed"};
}

// Forgets what an interrupted run left.
Status remove_partial(const std::string& output) {
  std::error_code code;
  std::filesystem::remove_all(output + ".partial", code);
  if (!code) return {};
  return {TSR_FAILED_PRECONDITION, output + ".partial: " + code.message()};
}

// Whether the same command would end so again: then what is done of its output
// is of no use.
bool is_final(const Status& status) {
  return status.code() == TSR_INVALID_ARGUMENT ||
         status.code() == TSR_UNIMPLEMENTED || status.code() == TSR_DATA_LOSS;
}

Result<quant::QuantizeReport> quantize(const Quantization& quantization,
                                       const quant::Recipe& recipe,
                                       const std::string& path,
                                       const Importance* importance,
                                       quant::QuantizedSink& sink) {
  const Interrupt interrupt;
  Progress progress("quantize");
  quant::QuantizeInputs inputs = quantization.inputs(
      0, [&progress](double share) { progress.update(share); });
  inputs.is_cancelled = [] { return Interrupt::asked(); };
  inputs.importance = importance;
  auto report = quant::quantize_model(inputs, recipe, sink);
  std::error_code code;
  if (report.ok() || is_final(report.status()) ||
      !std::filesystem::exists(path + ".partial/state.json", code)) {
    return report;
  }
  return Status(report.status().code(),
                fmt::format("{}; {}.partial keeps the layers that are done, "
                            "and the same command goes on from there",
                            report.status().message(), path));
}

Status run_quantize(QuantizeOptions options) {
  TSR_ASSIGN_OR_RETURN(Request request, request_of(options));
  TSR_RETURN_IF_ERROR(check_output(options.output));
  if (options.restart) TSR_RETURN_IF_ERROR(remove_partial(options.output));
  if (!options.imatrix.empty() &&
      format_for(request.format, options.output) != "gguf") {
    return {TSR_INVALID_ARGUMENT,
            "--imatrix: only GGUF formats are encoded with one"};
  }
  TSR_ASSIGN_OR_RETURN(const bool calibrates,
                       quant::needs_calibration(request.recipe));
  TSR_ASSIGN_OR_RETURN(const Quantization quantization,
                       open_quantization(options.quantization, calibrates));
  const Model& model = *quantization.loaded.model;
  std::optional<Importance> importance;
  if (!options.imatrix.empty()) {
    TSR_ASSIGN_OR_RETURN(
        importance,
        read_imatrix(options.imatrix, model.config).annotate("--imatrix"));
  }
  const Importance* const columns = importance ? &*importance : nullptr;
  if (request.mix) {
    quant::add_gguf_rules(*request.mix, model.config, importance.has_value(),
                          request.recipe.schemes);
  }
  TSR_ASSIGN_OR_RETURN(
      QuantizedOutput output,
      open_quantized_output(
          model, {request.format, options.quantization.scheme, options.output,
                  quant::run_on(*quantization.pool), columns}));
  Outcome outcome;
  const auto begin = std::chrono::steady_clock::now();
  auto report = quantize(quantization, request.recipe, options.output, columns,
                         *output.sink);
  if (!report.ok() && is_final(report.status())) {
    output.sink.reset();
    TSR_RETURN_IF_ERROR(remove_partial(options.output));
  }
  TSR_ASSIGN_OR_RETURN(outcome.report, std::move(report));
  outcome.seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - begin)
          .count();
  outcome.scheme = options.quantization.scheme;
  outcome.format = output.format;
  outcome.output = options.output;
  outcome.bytes_in = model.totals.bytes;
  outcome.parameters = model.totals.parameters;
  outcome.bytes_out = bytes_at(options.output);
  if (options.json) {
    return print_outcome(outcome, request);
  }
  print_table(outcome, request);
  return {};
}

}  // namespace

Command add_quantize_command(CLI::App& tessera) {
  CLI::App* app = tessera.add_subcommand(
      "quantize", "Write a quantized model that this and other tools read");
  auto options = std::make_shared<QuantizeOptions>();
  add_quantization_options(*app, options->quantization);
  CLI::Option* config =
      app->add_option("--config", options->config,
                      "Recipe: a YAML file (docs/recipes.md, or one of "
                      "msModelSlim's), or the name of one that comes with "
                      "tessera")
          ->type_name("FILE");
  CLI::Option* scheme = app->get_option("--scheme")->excludes(config);
  // Other commands know no mixes.
  scheme->get_validator(0)->active(false);
  scheme->check(scheme_or_mix_validator());
  app->add_option("-o,--output", options->output,
                  "File or folder to write; must not exist")
      ->required()
      ->type_name("OUT");
  app->add_option("--format", options->format,
                  "auto, msmodelslim, compressed-tensors or gguf; auto is "
                  "gguf if OUT ends in .gguf")
      ->check(
          CLI::IsMember({"auto", "msmodelslim", "compressed-tensors", "gguf"}))
      ->type_name("FORMAT")
      ->capture_default_str();
  app->add_flag("--restart", options->restart,
                "Begin anew where an interrupted run left finished layers");
  app->add_option("--imatrix", options->imatrix,
                  "Importance matrix of llama.cpp (GGUF or .dat), which the "
                  "encoders of a GGUF file weigh their errors by")
      ->type_name("FILE");
  add_json_option(*app, options->json);
  app->footer(
      "Examples:\n"
      "  tessera quantize --scheme w4a16_g128 --method gptq -o small\n"
      "  tessera quantize --scheme q4_k_m -o small.gguf");
  return {
      app, [options]() -> Status {
        if (options->config.empty() && options->quantization.scheme.empty()) {
          return {TSR_INVALID_ARGUMENT, "--scheme or --config is needed"};
        }
        return run_quantize(*options);
      }};
}

}  // namespace tessera::cli
