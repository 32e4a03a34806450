// SPDX-License-Identifier: Apache-2.0
//
// tessera compare: size, speed, accuracy and memory of a model and of what it
// was quantized to.

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "framework/cli/command.hpp"
#include "framework/cli/compare/comparison_report.hpp"
#include "framework/cli/console.hpp"
#include "framework/cli/eval/eval_texts.hpp"
#include "framework/cli/inspect/model_size.hpp"
#include "framework/cli/loaded_model.hpp"
#include "framework/cli/progress.hpp"
#include "framework/cli/target_options.hpp"
#include "framework/runtime/fit_scheme.hpp"

namespace tessera::cli {
namespace {

constexpr uint32_t kPromptTokens = 256;

struct CompareOptions {
  std::string model;
  std::vector<std::string> schemes;
  std::vector<std::string> quantized;  // models
  std::vector<std::string> devices;    // empty: all healthy on a wall clock
  EvalTextOptions text;
  uint32_t tokens = 32;  // decoded to measure speed
  uint32_t threads = 0;
  bool isolate = false;
  bool json = false;
};

// A model in one precision.
struct Candidate {
  std::string name;
  const LoadedModel* loaded = nullptr;
  Scheme scheme;
};

// What all rows share.
struct Comparison {
  LoadedModel loaded;
  std::vector<LoadedModel> quantized;
  std::vector<Candidate> candidates;
  EvalTexts texts;
  std::vector<int32_t> prompt;
  uint32_t tokens = 0;
};

// A candidate at work on a device.
struct Contender {
  std::unique_ptr<Session> session;
  ComparisonSide side;
};

// The first tokens of the texts, leaving room for what is decoded.
void choose_prompt(const CompareOptions& options, Comparison& comparison) {
  const uint32_t max_positions = comparison.loaded.model->config.max_positions;
  comparison.tokens = std::min(options.tokens, max_positions - 1);
  const size_t wanted =
      std::min(kPromptTokens, max_positions - comparison.tokens);
  for (const Document& document : comparison.texts.documents) {
    for (const int32_t token : document) {
      if (comparison.prompt.size() < wanted) {
        comparison.prompt.push_back(token);
      }
    }
  }
}

Status check_same_kind(const LoadedModel& original, const LoadedModel& other) {
  const ModelConfig& mine = original.model->config;
  const ModelConfig& theirs = other.model->config;
  if (mine.vocab_size == theirs.vocab_size &&
      mine.max_positions <= theirs.max_positions) {
    return {};
  }
  return {
      TSR_INVALID_ARGUMENT,
      fmt::format("--quantized {}: vocab_size={} and max_positions={}, but "
                  "MODEL has {} and {}",
                  other.model->folder, theirs.vocab_size, theirs.max_positions,
                  mine.vocab_size, mine.max_positions)};
}

Status choose_candidates(const CompareOptions& options,
                         Comparison& comparison) {
  comparison.quantized.reserve(options.quantized.size());
  for (const std::string& path : options.quantized) {
    TSR_ASSIGN_OR_RETURN(LoadedModel loaded,
                         load_model(path).annotate("--quantized"));
    TSR_RETURN_IF_ERROR(check_same_kind(comparison.loaded, loaded));
    comparison.quantized.push_back(std::move(loaded));
    const LoadedModel& kept = comparison.quantized.back();
    TSR_ASSIGN_OR_RETURN(Scheme scheme, choose_scheme(*kept.model, ""));
    comparison.candidates.push_back({path, &kept, std::move(scheme)});
  }
  std::vector<std::string> schemes = options.schemes;
  if (schemes.empty() && options.quantized.empty()) {
    schemes = {"w8a8_dynamic", "w8a16", "w4a16"};
  }
  for (const std::string& name : schemes) {
    TSR_ASSIGN_OR_RETURN(Scheme scheme, find_scheme(name));
    comparison.candidates.push_back(
        {name, &comparison.loaded, std::move(scheme)});
  }
  return {};
}

SessionOptions session_options(const Comparison& comparison) {
  SessionOptions options =
      eval_session_options(comparison.texts, TSR_PREFILL,
                           comparison.loaded.model->config.vocab_size);
  options.max_context = std::max(
      options.max_context,
      static_cast<uint32_t>(comparison.prompt.size()) + comparison.tokens);
  return options;
}

// Everything but speed.
Result<Contender> measure(const Comparison& comparison,
                          const Candidate& candidate,
                          const std::shared_ptr<Device>& device,
                          F32Reference& reference) {
  Contender contender;
  const Scheme scheme = fit_scheme(candidate.scheme, *device);
  SessionOptions options = session_options(comparison);
  // A simulated device tells its times only where it is asked to.
  options.profile = device->info().clock == TSR_CLOCK_SIMULATED;
  TSR_ASSIGN_OR_RETURN(
      contender.session,
      open_session(*candidate.loaded, device, scheme, options));
  TSR_ASSIGN_OR_RETURN(
      const ModelSize size,
      model_size(contender.session->graph(), candidate.loaded->source, scheme));
  contender.side.parameters = size.parameters;
  contender.side.stored_bytes = size.weight_bytes;
  contender.side.memory = contender.session->memory();
  Progress progress(device->name() + " " + candidate.name);
  TSR_ASSIGN_OR_RETURN(
      const std::vector<DocumentScores> scores,
      score_documents(*contender.session, comparison.texts.documents,
                      TSR_PREFILL, *reference.logits,
                      [&progress](double share) { progress.update(share); }));
  contender.side.metrics = summarize(scores);
  return contender;
}

Result<std::vector<std::shared_ptr<Device>>> open_devices(
    const CompareOptions& options) {
  const Registry registry =
      discover_plugins(options.threads, options.isolate, options.devices);
  std::vector<std::string> names = options.devices;
  if (names.empty()) {
    for (const DeviceEntry& entry : registry.devices()) {
      if (entry.status.ok() && entry.facts.info.clock == TSR_CLOCK_WALL) {
        names.push_back(entry.name);
      }
    }
  }
  if (names.empty()) {
    return Status(TSR_NOT_FOUND, "no healthy device here; see tessera devices");
  }
  std::vector<std::shared_ptr<Device>> devices;
  for (const std::string& name : names) {
    TSR_ASSIGN_OR_RETURN(std::shared_ptr<Device> device,
                         registry.open(name).annotate("--devices"));
    devices.push_back(std::move(device));
  }
  return devices;
}

// All rows of one device.
class DeviceComparison {
 public:
  DeviceComparison(const Comparison& comparison, std::shared_ptr<Device> device,
                   F32Reference& reference)
      : comparison_(comparison),
        device_(std::move(device)),
        reference_(reference) {}

  // The original in the checkpoint's own precision, or the nearest float one
  // that the device has.
  ComparisonRow open_original() {
    ComparisonRow row = new_row("");
    row.is_original = true;
    const Result<Scheme> own = choose_scheme(*comparison_.loaded.model, "");
    row.status = own.status();
    if (!own.ok()) return row;
    row.name = own->name;
    for (const Scheme& scheme :
         {*own, *find_scheme("w16a16"), *find_scheme("f32")}) {
      const Candidate candidate{scheme.name, &comparison_.loaded, scheme};
      Result<Contender> opened =
          measure(comparison_, candidate, device_, reference_);
      row.status = opened.status();
      if (!opened.ok() && opened.status().code() == TSR_UNIMPLEMENTED) continue;
      if (!opened.ok()) return row;
      row.name = scheme.name;
      original_ = std::move(*opened);
      break;
    }
    row.name += " (original)";
    if (original_.session == nullptr) return row;
    row.original = row.candidate = original_.side;
    row.status = add_speeds(*original_.session, row);
    original_speed_ = row.original_speed;
    return row;
  }

  // Requires  open_original() gave an OK row.
  ComparisonRow compare(const Candidate& candidate) {
    ComparisonRow row = new_row(candidate.name);
    Result<Contender> opened =
        measure(comparison_, candidate, device_, reference_);
    row.status = opened.status();
    if (!opened.ok()) return row;
    row.original = original_.side;
    row.candidate = opened->side;
    row.status = add_speeds(*opened->session, row);
    return row;
  }

 private:
  ComparisonRow new_row(std::string name) const {
    ComparisonRow row;
    row.device = device_->name();
    row.clock = clock_name(device_->info().clock);
    row.name = std::move(name);
    return row;
  }

  Status add_speeds(Session& session, ComparisonRow& row) const {
    if (device_->info().clock == TSR_CLOCK_SIMULATED) {
      TSR_ASSIGN_OR_RETURN(
          row.candidate_speed,
          simulated_speed(session, comparison_.prompt, comparison_.tokens));
      row.original_speed = row.candidate_speed;
      if (!row.is_original) row.original_speed = original_speed_;
      return {};
    }
    std::vector<Session*> sessions = {original_.session.get()};
    if (!row.is_original) sessions.push_back(&session);
    TSR_ASSIGN_OR_RETURN(
        const std::vector<Speed> speeds,
        measure_speeds(sessions, comparison_.prompt, comparison_.tokens));
    row.original_speed = speeds.front();
    row.candidate_speed = speeds.back();
    return {};
  }

  const Comparison& comparison_;
  std::shared_ptr<Device> device_;
  F32Reference& reference_;
  Contender original_;
  std::optional<Speed> original_speed_;  // on a simulated clock, asked once
};

Status print_rows(const CompareOptions& options, const Comparison& comparison,
                  const std::vector<ComparisonRow>& rows) {
  if (options.json) {
    return print_json("compare", comparison_json(rows));
  }
  write_out(fmt::format(
      "{}\n{} tokens of {}; speed: prompt of {} tokens, {} decoded\n\n{}",
      comparison.loaded.model->folder, comparison.texts.num_positions,
      comparison.texts.path, comparison.prompt.size(), comparison.tokens,
      comparison_text(rows)));
  return {};
}

// A scheme that a device does not know is a result; anything else is a failure.
Status failure_in(const std::vector<ComparisonRow>& rows) {
  for (const ComparisonRow& row : rows) {
    if (!row.status.ok() && row.status.code() != TSR_UNIMPLEMENTED) {
      return {row.status.code(),
              row.device + " " + row.name + ": " + row.status.message()};
    }
  }
  return {};
}

Status run_compare(const CompareOptions& options) {
  Comparison comparison;
  TSR_ASSIGN_OR_RETURN(comparison.loaded, load_model(options.model));
  TSR_RETURN_IF_ERROR(choose_candidates(options, comparison));
  TSR_ASSIGN_OR_RETURN(comparison.texts,
                       read_texts(*comparison.loaded.model, options.text));
  choose_prompt(options, comparison);
  TSR_ASSIGN_OR_RETURN(const auto devices, open_devices(options));
  TSR_ASSIGN_OR_RETURN(
      F32Reference reference,
      make_f32_reference(comparison.loaded, comparison.texts, options.threads));
  std::vector<ComparisonRow> rows;
  for (const std::shared_ptr<Device>& device : devices) {
    DeviceComparison on_device(comparison, device, reference);
    rows.push_back(on_device.open_original());
    if (!rows.back().status.ok()) continue;
    for (const Candidate& candidate : comparison.candidates) {
      rows.push_back(on_device.compare(candidate));
    }
  }
  TSR_RETURN_IF_ERROR(print_rows(options, comparison, rows));
  return failure_in(rows);
}

}  // namespace

Command add_compare_command(CLI::App& tessera) {
  CLI::App* app = tessera.add_subcommand(
      "compare",
      "Compare a model with quantized ones: size, speed, accuracy, memory");
  auto options = std::make_shared<CompareOptions>();
  add_model_option(*app, options->model);
  app->add_option("--quantized", options->quantized,
                  "Quantized models of MODEL, as in a,b")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->type_name("LIST");
  app->add_option("--schemes", options->schemes,
                  "Precisions to round MODEL to, as in a,b,c; left out, and "
                  "without --quantized: w8a8_dynamic,w8a16,w4a16")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->check(scheme_validator())
      ->type_name("LIST");
  app->add_option("--devices", options->devices,
                  "Devices, as in x,y; left out: all that are healthy")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->type_name("LIST");
  add_text_options(*app, options->text);
  app->add_option("-n,--tokens", options->tokens,
                  "Tokens to decode where speed is measured")
      ->check(count_validator(2))
      ->type_name("N")
      ->capture_default_str();
  add_threads_option(*app, options->threads);
  app->add_flag("--isolate", options->isolate,
                "Run plugins in a child process");
  add_json_option(*app, options->json);
  app->footer(
      "Example:\n  tessera compare --quantized small --schemes w8a16 --devices "
      "cpu");
  return {app, [options] { return run_compare(*options); }};
}

}  // namespace tessera::cli
