// SPDX-License-Identifier: Apache-2.0
//
// tessera eval: how far a device and a scheme move a model from the oracle.

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "framework/cli/command.hpp"
#include "framework/cli/console.hpp"
#include "framework/cli/eval/eval_report.hpp"
#include "framework/cli/eval/eval_texts.hpp"
#include "framework/cli/loaded_model.hpp"
#include "framework/cli/plan/loaded_plan.hpp"
#include "framework/cli/progress.hpp"
#include "framework/cli/target_options.hpp"
#include "framework/eval/device_agreement.hpp"
#include "framework/format/weight.hpp"
#include "framework/runtime/fit_scheme.hpp"
#include "framework/tensor/dtype.hpp"

namespace tessera::cli {
namespace {

constexpr const char* kAgainstOracle = "oracle";

struct EvalOptions {
  TargetOptions target;
  std::string plan;  // a file; empty: the target's device and scheme
  EvalTextOptions text;
  std::string reference;  // a model; empty: the one that is measured
  std::string phase = "prefill";
  std::string against;
  double max_kl = 0.0;     // 0: no gate
  double max_drop = -1.0;  // below 0: no gate
  bool json = false;
};

// One evaluation on its way.
struct Evaluation {
  LoadedModel loaded;
  Scheme scheme;
  EvalTexts texts;
  std::optional<LoadedPlan> plan;
  std::shared_ptr<Device> device;  // with a plan, one of its devices
  std::shared_ptr<Device> other;   // null unless --against names a device
};

std::vector<uint32_t> phases_of(const std::string& name) {
  if (name == "both") return {TSR_PREFILL, TSR_DECODE};
  return {name == "decode" ? uint32_t{TSR_DECODE} : uint32_t{TSR_PREFILL}};
}

Gates gates_of(const EvalOptions& options) {
  Gates gates;
  if (options.max_kl > 0.0) gates.max_kl = options.max_kl;
  if (options.max_drop >= 0.0) gates.max_drop = options.max_drop;
  return gates;
}

Status open_devices(const EvalOptions& options, Evaluation& evaluation) {
  const Registry registry =
      discover_plugins(options.target.threads, options.target.isolate,
                       {options.target.device, options.against});
  TSR_ASSIGN_OR_RETURN(evaluation.device,
                       open_device(registry, options.target.device,
                                   options.target.device_options)
                           .annotate("--device"));
  if (!options.against.empty() && options.against != kAgainstOracle) {
    TSR_ASSIGN_OR_RETURN(evaluation.other,
                         registry.open(options.against).annotate("--against"));
  }
  return {};
}

Status prepare(const EvalOptions& options, Evaluation& evaluation) {
  TSR_ASSIGN_OR_RETURN(evaluation.loaded, load_model(options.target.model));
  const Model& model = *evaluation.loaded.model;
  TSR_ASSIGN_OR_RETURN(Scheme scheme,
                       choose_scheme(model, options.target.scheme));
  TSR_ASSIGN_OR_RETURN(evaluation.texts, read_texts(model, options.text));
  if (!options.plan.empty()) {
    TSR_ASSIGN_OR_RETURN(
        evaluation.plan,
        load_plan(options.plan, evaluation.loaded, options.target.threads,
                  options.target.isolate));
    evaluation.device = evaluation.plan->devices.begin()->second;
    evaluation.scheme = evaluation.plan->base;
    return {};
  }
  TSR_RETURN_IF_ERROR(open_devices(options, evaluation));
  evaluation.scheme = with_kv(fit_scheme(std::move(scheme), *evaluation.device),
                              options.target.kv);
  return {};
}

EvalSubject subject_of(const EvalOptions& options, const Evaluation& evaluation,
                       double oracle_accuracy) {
  EvalSubject subject;
  subject.device = evaluation.plan ? evaluation.plan->device_names()
                                   : evaluation.device->name();
  subject.scheme = evaluation.plan ? "plan" : evaluation.scheme.name;
  subject.plan = options.plan;
  subject.head_scheme =
      format::weight_format_name(evaluation.scheme.head_format);
  subject.embedding_scheme =
      dtype_name(checkpoint_dtype(*evaluation.loaded.model));
  subject.text = evaluation.texts.path;
  subject.against = options.against;
  subject.num_documents = evaluation.texts.documents.size();
  subject.oracle_accuracy = oracle_accuracy;
  return subject;
}

Result<std::unique_ptr<Session>> eval_session(
    const Evaluation& evaluation, const std::shared_ptr<Device>& device,
    uint32_t phase) {
  const SessionOptions session = eval_session_options(
      evaluation.texts, phase, evaluation.loaded.model->config.vocab_size);
  if (evaluation.plan) {
    return open_plan_session(evaluation.loaded, *evaluation.plan, session);
  }
  return open_session(evaluation.loaded, device, evaluation.scheme, session);
}

Result<Agreement> measure_against(const Evaluation& evaluation,
                                  Session& session, uint32_t phase) {
  const EvalTexts& texts = evaluation.texts;
  TSR_ASSIGN_OR_RETURN(const DeviceNumerics numerics,
                       numerics_of(*evaluation.device));
  TSR_ASSIGN_OR_RETURN(
      const Oracle ascending,
      make_oracle(evaluation.loaded, evaluation.scheme,
                  {reference::SumOrder::kF32Ascending, numerics},
                  texts.longest));
  TSR_ASSIGN_OR_RETURN(
      const Oracle descending,
      make_oracle(evaluation.loaded, evaluation.scheme,
                  {reference::SumOrder::kF32Descending, numerics},
                  texts.longest));
  if (!evaluation.other) {
    return measure_agreement(session, texts.documents, phase, ascending,
                             descending);
  }
  TSR_ASSIGN_OR_RETURN(const std::unique_ptr<Session> other,
                       eval_session(evaluation, evaluation.other, phase));
  return measure_device_agreement(session, *other, texts.documents, phase,
                                  ascending, descending);
}

Result<PhaseResult> evaluate_phase(const EvalOptions& options,
                                   const Evaluation& evaluation,
                                   F32Reference& reference, uint32_t phase) {
  PhaseResult result;
  result.phase = phase == TSR_DECODE ? "decode" : "prefill";
  TSR_ASSIGN_OR_RETURN(const std::unique_ptr<Session> session,
                       eval_session(evaluation, evaluation.device, phase));
  {
    Progress progress(fmt::format("{} {} {}", evaluation.device->name(),
                                  evaluation.scheme.name, result.phase));
    TSR_ASSIGN_OR_RETURN(
        std::vector<DocumentScores> scores,
        score_documents(*session, evaluation.texts.documents, phase,
                        *reference.logits,
                        [&progress](double share) { progress.update(share); }));
    evaluation.texts.keep_scored(scores);
    result.metrics = summarize(scores);
  }
  if (!options.against.empty()) {
    TSR_ASSIGN_OR_RETURN(result.agreement,
                         measure_against(evaluation, *session, phase));
  }
  result.missed =
      missed_gates(gates_of(options), result.metrics, reference.accuracy);
  return result;
}

Status print_results(const EvalOptions& options, const EvalSubject& subject,
                     const std::vector<PhaseResult>& results) {
  if (options.json) {
    Json list = Json::array();
    for (const PhaseResult& result : results) {
      list.push_back(phase_json(subject, result));
    }
    return print_json("eval", list.size() == 1 ? list[0] : list);
  }
  for (size_t i = 0; i < results.size(); ++i) {
    write_out((i == 0 ? "" : "\n") + phase_text(subject, results[i]));
  }
  return {};
}

Result<F32Reference> reference_of(const EvalOptions& options,
                                  const Evaluation& evaluation) {
  if (options.reference.empty()) {
    return make_f32_reference(evaluation.loaded, evaluation.texts,
                              options.target.threads);
  }
  TSR_ASSIGN_OR_RETURN(const LoadedModel other,
                       load_model(options.reference).annotate("--reference"));
  const ModelConfig& mine = evaluation.loaded.model->config;
  const ModelConfig& theirs = other.model->config;
  if (mine.vocab_size != theirs.vocab_size ||
      evaluation.texts.longest > theirs.max_positions) {
    return Status(
        TSR_INVALID_ARGUMENT,
        fmt::format("--reference {}: vocab_size={} and texts of up to "
                    "{} tokens, but MODEL has vocab_size={} and texts "
                    "of {}",
                    options.reference, theirs.vocab_size, theirs.max_positions,
                    mine.vocab_size, evaluation.texts.longest));
  }
  return make_f32_reference(other, evaluation.texts, options.target.threads);
}

Status run_eval(const EvalOptions& options) {
  Evaluation evaluation;
  TSR_RETURN_IF_ERROR(prepare(options, evaluation));
  TSR_ASSIGN_OR_RETURN(F32Reference reference,
                       reference_of(options, evaluation));
  std::vector<PhaseResult> results;
  std::vector<std::string> missed;
  for (const uint32_t phase : phases_of(options.phase)) {
    TSR_ASSIGN_OR_RETURN(PhaseResult result,
                         evaluate_phase(options, evaluation, reference, phase));
    for (const std::string& gate : result.missed) {
      missed.push_back(result.phase + ": " + gate);
    }
    results.push_back(std::move(result));
  }
  TSR_RETURN_IF_ERROR(print_results(
      options, subject_of(options, evaluation, reference.accuracy), results));
  if (missed.empty()) return {};
  return {TSR_FAILED_PRECONDITION, fmt::format("{}", fmt::join(missed, "; "))};
}

}  // namespace

Command add_eval_command(CLI::App& tessera) {
  CLI::App* app = tessera.add_subcommand(
      "eval", "Measure perplexity, KL and top-1 against the oracle's f32");
  auto options = std::make_shared<EvalOptions>();
  add_target_options(*app, options->target);
  add_plan_option(*app, options->plan);
  add_text_options(*app, options->text);
  app->add_flag("--llama-perplexity", options->text.llama_windows,
                "Score as llama.cpp's perplexity does: windows of --context "
                "tokens (512) over the whole file, the second half of each");
  app->add_option("--reference", options->reference,
                  "Unquantized model whose f32 is the truth; left out: MODEL "
                  "with its weights decoded")
      ->type_name("MODEL");
  app->add_option("--phase", options->phase,
                  "How tokens are fed: prefill, decode or both")
      ->check(CLI::IsMember({"prefill", "decode", "both"}))
      ->type_name("PHASE")
      ->capture_default_str();
  app->add_option("--against", options->against,
                  "Compare with a second device too, or with \"oracle\"")
      ->excludes("--plan")
      ->type_name("DEVICE");
  app->add_option("--max-kl", options->max_kl,
                  "Fail unless the mean KL is under this, in nats")
      ->check(positive_validator())
      ->type_name("X");
  app->add_option("--max-drop", options->max_drop,
                  "Fail if accuracy drops by more points than this")
      ->check(not_negative_validator())
      ->type_name("Y");
  add_json_option(*app, options->json);
  app->footer(
      "Example:\n  tessera eval --scheme w4a16 --phase both --max-kl 0.2");
  return {app, [options] { return run_eval(*options); }};
}

}  // namespace tessera::cli
