// SPDX-License-Identifier: Apache-2.0
//
// tessera tune: the quantization recipe that keeps within a tolerance.

#include <fmt/format.h>
#include <unistd.h>

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "framework/base/atomic_file.hpp"
#include "framework/cli/command.hpp"
#include "framework/cli/console.hpp"
#include "framework/cli/eval/eval_texts.hpp"
#include "framework/cli/figures.hpp"
#include "framework/cli/json_output.hpp"
#include "framework/cli/progress.hpp"
#include "framework/cli/quantize/quantization.hpp"
#include "framework/cli/table.hpp"
#include "framework/cli/target_options.hpp"
#include "framework/model/build_graph.hpp"
#include "framework/quant/output/quantized_weights.hpp"
#include "framework/quant/recipe/recipe_writer.hpp"
#include "framework/tuning/tune_recipe.hpp"

namespace tessera::cli {
namespace {

struct TuneCommandOptions {
  QuantizationOptions quantization;
  double max_kl = 0.0;
  std::string stages = "weights,outliers,activations,calibration,fallback";
  EvalTextOptions select;
  EvalTextOptions report;
  std::string output;  // the best recipe; empty: not written
  bool json = false;
};

// Texts of one split and what the f32 model makes of them.
struct Split {
  EvalTexts texts;
  F32Reference reference;
};

Result<std::unique_ptr<Split>> open_split(const LoadedModel& model,
                                          const EvalTextOptions& options,
                                          uint32_t threads) {
  auto split = std::make_unique<Split>();
  TSR_ASSIGN_OR_RETURN(split->texts, read_texts(*model.model, options));
  TSR_ASSIGN_OR_RETURN(split->reference,
                       make_f32_reference(model, split->texts, threads));
  return split;
}

// Quantizes in memory and scores; one model at a time.
class Scorer {
 public:
  Scorer(const Quantization& quantization, std::string scheme)
      : quantization_(quantization), scheme_(std::move(scheme)) {}

  Result<EvalMetrics> score(const TunePoint& point, Split& split) const {
    quant::QuantizedWeights weights;
    Progress progress("quantize");
    const quant::QuantizeInputs inputs =
        quantization_.inputs(point.calibration_tokens,
                             [&progress](double s) { progress.update(s); });
    TSR_RETURN_IF_ERROR(
        quant::quantize_model(inputs, point.recipe, weights).status());
    const WeightSource source = weights.source(quantization_.loaded.source);
    TSR_ASSIGN_OR_RETURN(const std::unique_ptr<Session> session,
                         open(source, split.texts));
    TSR_ASSIGN_OR_RETURN(
        const std::vector<DocumentScores> scores,
        score_documents(*session, split.texts.documents, TSR_PREFILL,
                        *split.reference.logits, [](double) {}));
    return summarize(scores);
  }

  // Linears that are quantized now, the most sensitive first.
  Result<std::vector<std::string>> rank(const TunePoint& point) const {
    quant::QuantizedWeights weights;
    TSR_ASSIGN_OR_RETURN(
        const quant::QuantizeReport report,
        quant::quantize_model(
            quantization_.inputs(point.calibration_tokens, [](double) {}),
            point.recipe, weights));
    std::vector<quant::LayerSensitivity> layers;
    for (const quant::LayerReport& layer : report.layers) {
      if (!layer.fallback) layers.push_back({layer.name, layer.metric});
    }
    return quant::rank_layers(layers);
  }

 private:
  Result<std::unique_ptr<Session>> open(const WeightSource& source,
                                        const EvalTexts& texts) const {
    const Model& model = *quantization_.loaded.model;
    const SessionOptions options =
        eval_session_options(texts, TSR_PREFILL, model.config.vocab_size);
    TSR_ASSIGN_OR_RETURN(Graph graph,
                         build_graph(model.config, options.max_context));
    mark_stored(source, graph);
    TSR_ASSIGN_OR_RETURN(Scheme scheme, find_scheme(scheme_));
    scheme.as_stored = true;
    const std::string device = quantization_.device->name();
    const Plan plan = uniform_plan(graph, device, scheme);
    return Session::create(std::move(graph), plan, source,
                           {{device, quantization_.device}}, options);
  }

  const Quantization& quantization_;
  std::string scheme_;
};

// text/select.txt of the model if the user names none.
EvalTextOptions select_text(const Quantization& quantization,
                            const TuneCommandOptions& options) {
  EvalTextOptions select = options.select;
  if (select.text.empty()) {
    select.text = quantization.loaded.model->folder + "/text/select.txt";
  }
  return select;
}

Json step_json(const TuneStep& step) {
  Json json;
  json["stage"] = tune_stage_name(step.stage);
  json["change"] = step.change;
  json["kl_mean"] = step.score;
  json["gain"] = step.gain;
  json["kept"] = step.kept;
  return json;
}

void print_steps(const TuneResult& result) {
  Table table({{"stage"},
               {"change"},
               {"KL", Align::kRight},
               {"gain", Align::kRight},
               {""}});
  table.add_row(
      {"start", "", fmt::format("{:.3g}", result.start_score), "", ""});
  for (const TuneStep& step : result.steps) {
    table.add_row({std::string(tune_stage_name(step.stage)), step.change,
                   fmt::format("{:.3g}", step.score),
                   fmt::format("{:+.3g}", step.gain), step.kept ? "kept" : ""});
  }
  write_out(table.text());
}

Status write_best(const TuneCommandOptions& options, const TuneResult& result) {
  if (options.output.empty()) return {};
  quant::RecipeFile file;
  file.recipe = result.best.recipe;
  std::error_code code;
  if (!options.quantization.calibration_text.empty()) {
    file.calibration.text =
        std::filesystem::absolute(options.quantization.calibration_text, code);
  }
  file.calibration.max_tokens = result.best.calibration_tokens;
  return write_file_atomically(options.output, quant::recipe_text(file))
      .annotate("-o");
}

Status print_result(const TuneCommandOptions& options, const TuneResult& result,
                    const EvalMetrics& report) {
  if (options.json) {
    Json json;
    json["scheme"] = options.quantization.scheme;
    json["max_kl"] = options.max_kl;
    json["met_on_select"] = result.met;
    json["kl_select"] = result.score;
    add_estimate(json, "kl_report", report.kl_mean);
    json["disable_names"] = result.best.recipe.schemes.disable_names;
    json["calibration_tokens"] = result.best.calibration_tokens;
    json["steps"] = Json::array();
    for (const TuneStep& step : result.steps) {
      json["steps"].push_back(step_json(step));
    }
    TSR_RETURN_IF_ERROR(print_json("tune", json));
  } else {
    print_steps(result);
    write_out(fmt::format(
        "\non the select split KL {:.3g}; on the report split, scored once, "
        "{}\n",
        result.score, interval_text(report.kl_mean)));
  }
  if (report.kl_mean.upper() <= options.max_kl) return {};
  return {TSR_FAILED_PRECONDITION,
          fmt::format("--max-kl {}: the report split's KL is up to {:.3g}",
                      options.max_kl, report.kl_mean.upper())};
}

Status run_tune(const TuneCommandOptions& options) {
  TSR_ASSIGN_OR_RETURN(const quant::Recipe recipe,
                       recipe_of(options.quantization));
  TSR_ASSIGN_OR_RETURN(const Quantization quantization,
                       open_quantization(options.quantization, true));
  const uint32_t threads = options.quantization.threads;
  TSR_ASSIGN_OR_RETURN(const std::unique_ptr<Split> select,
                       open_split(quantization.loaded,
                                  select_text(quantization, options), threads));
  const Scorer scorer(quantization, options.quantization.scheme);

  TuneOptions tune;
  tune.tolerance = options.max_kl;
  TSR_ASSIGN_OR_RETURN(tune.stages,
                       parse_tune_stages(options.stages).annotate("--stages"));
  uint64_t tokens = 0;
  for (const auto& text : quantization.texts) tokens += text.size();
  tune.max_calibration_tokens = static_cast<uint32_t>(tokens);
  tune.rank_layers = [&scorer](const TunePoint& best) {
    return scorer.rank(best);
  };
  const TunePoint start{
      recipe, std::min(options.quantization.calibration_tokens / 4 + 1,
                       tune.max_calibration_tokens)};
  TSR_ASSIGN_OR_RETURN(
      const TuneResult result,
      tune_recipe(
          start, tune,
          [&](const TunePoint& point) -> Result<double> {
            TSR_ASSIGN_OR_RETURN(const EvalMetrics metrics,
                                 scorer.score(point, *select));
            return metrics.kl_mean.value;
          },
          [](const TuneStep& step) {
            if (isatty(STDERR_FILENO) == 0) return;
            write_err(fmt::format("{}: {}: KL {:.3g}{}\n",
                                  tune_stage_name(step.stage), step.change,
                                  step.score, step.kept ? ", kept" : ""));
          }));
  TSR_ASSIGN_OR_RETURN(
      const std::unique_ptr<Split> report,
      open_split(quantization.loaded, options.report, threads));
  TSR_ASSIGN_OR_RETURN(const EvalMetrics metrics,
                       scorer.score(result.best, *report));
  TSR_RETURN_IF_ERROR(write_best(options, result));
  return print_result(options, result, metrics);
}

}  // namespace

Command add_tune_command(CLI::App& tessera) {
  CLI::App* app = tessera.add_subcommand(
      "tune", "Search the quantization that keeps within a KL divergence");
  auto options = std::make_shared<TuneCommandOptions>();
  add_quantization_options(*app, options->quantization);
  app->get_option("--scheme")->required();
  app->add_option("--max-kl", options->max_kl,
                  "Mean KL to stay within, in nats")
      ->check(positive_validator())
      ->required()
      ->type_name("X");
  app->add_option("--stages", options->stages,
                  "What is tried, in this order: weights, outliers, "
                  "activations, calibration, fallback")
      ->type_name("LIST")
      ->capture_default_str();
  app->add_option("--select", options->select.text,
                  "Documents that choose; left out: text/select.txt of the "
                  "model")
      ->type_name("FILE");
  app->add_option("--report", options->report.text,
                  "Documents that are scored once, at the end; left out: "
                  "text/report.txt of the model")
      ->type_name("FILE");
  app->add_option("-o,--output", options->output,
                  "Recipe to write, for tessera quantize --config")
      ->type_name("FILE");
  add_json_option(*app, options->json);
  app->footer(
      "Example:\n  tessera tune --scheme w8a8 --max-kl 0.002 -o best.yaml");
  return {app, [options] { return run_tune(*options); }};
}

}  // namespace tessera::cli
