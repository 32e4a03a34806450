// SPDX-License-Identifier: Apache-2.0
//
// tessera compare: size, speed, accuracy and memory, device by scheme.

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "framework/cli/command.hpp"
#include "framework/cli/console.hpp"
#include "framework/cli/eval_texts.hpp"
#include "framework/cli/figures.hpp"
#include "framework/cli/json_output.hpp"
#include "framework/cli/loaded_model.hpp"
#include "framework/cli/model_size.hpp"
#include "framework/cli/progress.hpp"
#include "framework/cli/speed.hpp"
#include "framework/cli/table.hpp"
#include "framework/cli/target_options.hpp"

namespace tessera::cli {
namespace {

constexpr uint32_t kPromptTokens = 256;

struct CompareOptions {
  std::string model;
  std::vector<std::string> schemes = {"f32", "bf16", "w8a8_dynamic", "w8a16",
                                      "w4a16"};
  std::vector<std::string> devices;  // empty: all healthy ones on a wall clock
  EvalTextOptions text;
  uint32_t tokens = 32;  // decoded to measure speed
  uint32_t threads = 0;
  bool isolate = false;
  bool json = false;
};

struct Row {
  std::string device;
  std::string clock;
  std::string scheme;
  Status status;  // why there are no figures, unless it is OK
  ModelSize size;
  EvalMetrics metrics;
  std::optional<Speed> speed;  // none on a simulated clock
  Session::Memory memory;
};

// What all rows share.
struct Comparison {
  LoadedModel loaded;
  EvalTexts texts;
  std::vector<int32_t> prompt;
  uint32_t tokens = 0;
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

SessionOptions session_options(const Comparison& comparison) {
  SessionOptions options =
      eval_session_options(comparison.texts, TSR_PREFILL,
                           comparison.loaded.model->config.vocab_size);
  options.max_context = std::max(
      options.max_context,
      static_cast<uint32_t>(comparison.prompt.size()) + comparison.tokens);
  return options;
}

Status measure(const Comparison& comparison,
               const std::shared_ptr<Device>& device, F32Reference& reference,
               Row& row) {
  TSR_ASSIGN_OR_RETURN(const Scheme scheme, find_scheme(row.scheme));
  TSR_ASSIGN_OR_RETURN(const std::unique_ptr<Session> session,
                       open_session(comparison.loaded, device, scheme,
                                    session_options(comparison)));
  TSR_ASSIGN_OR_RETURN(
      row.size, model_size(session->graph(), comparison.loaded.source, scheme));
  row.memory = session->memory();
  Progress progress(row.device + " " + row.scheme);
  TSR_ASSIGN_OR_RETURN(
      const std::vector<DocumentScores> scores,
      score_documents(*session, comparison.texts.documents, TSR_PREFILL,
                      *reference.logits,
                      [&progress](double share) { progress.update(share); }));
  row.metrics = summarize(scores);
  if (device->info().clock != TSR_CLOCK_WALL) return {};
  TSR_ASSIGN_OR_RETURN(
      row.speed, measure_speed(*session, comparison.prompt, comparison.tokens));
  return {};
}

Result<std::vector<std::shared_ptr<Device>>> open_devices(
    const CompareOptions& options) {
  const Registry registry = discover_plugins(options.threads, options.isolate);
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

uint64_t total(const Session::Memory& memory) {
  return memory.weight_bytes + memory.kv_bytes + memory.workspace_bytes;
}

std::string speed_text(const Row& row, double Speed::*figure) {
  return row.speed ? number_text((*row.speed).*figure) : "-";
}

std::string rows_text(const std::vector<Row>& rows) {
  Table table({{"device"},
               {"scheme"},
               {"size", Align::kRight},
               {"bits/weight", Align::kRight},
               {"perplexity", Align::kRight},
               {"KL mean [95 %]", Align::kRight},
               {"top-1 %", Align::kRight},
               {"prefill tok/s", Align::kRight},
               {"decode tok/s", Align::kRight},
               {"memory", Align::kRight}});
  std::string refusals;
  for (const Row& row : rows) {
    if (!row.status.ok()) {
      table.add_row(
          {row.device, row.scheme, "-", "-", "-", "-", "-", "-", "-", "-"});
      refusals += fmt::format("{} {}: {}\n", row.device, row.scheme,
                              row.status.message());
      continue;
    }
    table.add_row({row.device, row.scheme, bytes_text(row.size.weight_bytes),
                   fmt::format("{:.2f}", row.size.bits_per_weight()),
                   fmt::format("{:.3f}", row.metrics.perplexity.value),
                   interval_text(row.metrics.kl_mean),
                   fmt::format("{:.2f}", 100.0 * row.metrics.top1.value),
                   speed_text(row, &Speed::prefill_tokens_per_s),
                   speed_text(row, &Speed::decode_tokens_per_s),
                   bytes_text(total(row.memory))});
  }
  return table.text() + (refusals.empty() ? "" : "\n" + refusals);
}

Json row_json(const Row& row) {
  Json json;
  json["device"] = row.device;
  json["scheme"] = row.scheme;
  json["clock"] = row.clock;
  json["reason"] = row.status.message();
  if (!row.status.ok()) return json;
  json["bytes"] = row.size.weight_bytes;
  json["bits_per_weight"] = row.size.bits_per_weight();
  add_estimate(json, "perplexity", row.metrics.perplexity);
  add_estimate(json, "kl_mean", row.metrics.kl_mean);
  add_estimate(json, "kl_p99", row.metrics.kl_p99);
  add_estimate(json, "top1", row.metrics.top1);
  add_estimate(json, "accuracy", row.metrics.accuracy);
  json["tokens"] = row.metrics.num_tokens;
  json["prefill_tokens_per_s"] = nullptr;
  json["decode_tokens_per_s"] = nullptr;
  if (row.speed) {
    json["prefill_tokens_per_s"] = row.speed->prefill_tokens_per_s;
    json["decode_tokens_per_s"] = row.speed->decode_tokens_per_s;
  }
  json["memory_bytes"] = total(row.memory);
  return json;
}

void print_rows(const CompareOptions& options, const Comparison& comparison,
                const std::vector<Row>& rows) {
  if (options.json) {
    Json list = Json::array();
    for (const Row& row : rows) list.push_back(row_json(row));
    print_json(list);
    return;
  }
  write_out(fmt::format(
      "{}\n{} tokens of {}; speed: prompt of {} tokens, {} decoded\n\n{}",
      comparison.loaded.model->folder, comparison.texts.num_positions,
      comparison.texts.path, comparison.prompt.size(), comparison.tokens,
      rows_text(rows)));
}

// A scheme that a device does not know is a result; anything else is a failure.
Status failure_in(const std::vector<Row>& rows) {
  for (const Row& row : rows) {
    if (!row.status.ok() && row.status.code() != TSR_UNIMPLEMENTED) {
      return {row.status.code(),
              row.device + " " + row.scheme + ": " + row.status.message()};
    }
  }
  return {};
}

Status run_compare(const CompareOptions& options) {
  Comparison comparison;
  TSR_ASSIGN_OR_RETURN(comparison.loaded, load_model(options.model));
  TSR_ASSIGN_OR_RETURN(comparison.texts,
                       read_texts(*comparison.loaded.model, options.text));
  choose_prompt(options, comparison);
  TSR_ASSIGN_OR_RETURN(const auto devices, open_devices(options));
  TSR_ASSIGN_OR_RETURN(
      F32Reference reference,
      make_f32_reference(comparison.loaded, comparison.texts, options.threads));
  std::vector<Row> rows;
  for (const std::shared_ptr<Device>& device : devices) {
    for (const std::string& scheme : options.schemes) {
      Row row;
      row.device = device->name();
      row.clock = clock_name(device->info().clock);
      row.scheme = scheme;
      row.status = measure(comparison, device, reference, row);
      rows.push_back(std::move(row));
    }
  }
  print_rows(options, comparison, rows);
  return failure_in(rows);
}

}  // namespace

Command add_compare_command(CLI::App& tessera) {
  CLI::App* app = tessera.add_subcommand(
      "compare", "Compare size, speed, accuracy and memory, device by scheme");
  auto options = std::make_shared<CompareOptions>();
  add_model_option(*app, options->model);
  app->add_option("--schemes", options->schemes, "Precisions, as in a,b,c")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->check(scheme_validator())
      ->type_name("LIST")
      ->capture_default_str();
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
  app->footer("Example:\n  tessera compare --schemes f32,w8a16 --devices cpu");
  return {app, [options] { return run_compare(*options); }};
}

}  // namespace tessera::cli
