// SPDX-License-Identifier: Apache-2.0
//
// tessera bench model: a whole model on each device, in each scheme, by batch
// and context.

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "framework/bench/measure/machine_load.hpp"
#include "framework/bench/model/model_timing.hpp"
#include "framework/bench/statistics/median_interval.hpp"
#include "framework/cli/bench/bench.hpp"
#include "framework/cli/bench/model_table.hpp"
#include "framework/cli/console.hpp"
#include "framework/cli/json_output.hpp"
#include "framework/cli/loaded_model.hpp"
#include "framework/cli/plan/loaded_plan.hpp"
#include "framework/cli/progress.hpp"
#include "framework/cli/target_options.hpp"
#include "framework/runtime/fit_scheme.hpp"
#include "framework/runtime/lowering.hpp"
#include "framework/tuning/plan/runtime_plan.hpp"

namespace tessera::cli {
namespace {

constexpr uint32_t kStepTokens = 512;  // as `tessera run` steps

struct ModelOptions {
  std::string model;
  std::vector<std::string> devices;  // empty: all that are not simulated
  std::vector<std::string> schemes;  // empty: the checkpoint's
  std::vector<std::string> plans;
  std::vector<uint32_t> batches = {1};
  std::vector<uint32_t> contexts = {128};
  uint32_t tokens = 32;
  uint32_t repetitions = 5;
  uint32_t threads = 0;
  bool breakdown = false;
  bool isolate = false;
  bool json = false;
};

// One way to run the model.
struct Setting {
  std::shared_ptr<Device> device;  // null of a plan
  Scheme scheme;
  std::optional<LoadedPlan> plan;
  std::string command;  // for any batch and context

  bool is_simulated() const {
    return plan ? plan->is_simulated()
                : device->info().clock == TSR_CLOCK_SIMULATED;
  }
};

std::vector<std::string> device_names(const ModelOptions& options,
                                      const Registry& registry) {
  if (!options.devices.empty()) return options.devices;
  std::vector<std::string> names;
  if (!options.plans.empty()) return names;
  for (const DeviceEntry& entry : registry.devices()) {
    if (entry.status.ok() && entry.facts.info.clock == TSR_CLOCK_WALL) {
      names.push_back(entry.name);
    }
  }
  return names;
}

std::string command_of(const ModelOptions& options, const std::string& what) {
  const ModelOptions defaults;
  std::string command = "tessera bench model";
  if (!options.model.empty()) command += " " + options.model;
  command += fmt::format(" {} --batch {} --context {} --tokens {}", what,
                         fmt::join(options.batches, ","),
                         fmt::join(options.contexts, ","), options.tokens);
  if (options.repetitions != defaults.repetitions) {
    command += fmt::format(" --repetitions {}", options.repetitions);
  }
  if (options.threads > 0)
    command += fmt::format(" --threads {}", options.threads);
  if (options.breakdown) command += " --breakdown";
  if (options.isolate) command += " --isolate";
  return command;
}

Result<std::vector<Setting>> find_settings(const ModelOptions& options,
                                           const LoadedModel& model) {
  std::vector<Setting> settings;
  const Registry registry =
      discover_plugins(options.threads, options.isolate, options.devices);
  std::vector<std::string> schemes = options.schemes;
  if (schemes.empty()) schemes = {""};
  for (const std::string& name : device_names(options, registry)) {
    TSR_ASSIGN_OR_RETURN(const std::shared_ptr<Device> device,
                         registry.open(name).annotate("--device"));
    for (const std::string& scheme : schemes) {
      TSR_ASSIGN_OR_RETURN(Scheme chosen, choose_scheme(*model.model, scheme));
      Setting setting;
      setting.device = device;
      setting.command = command_of(
          options, fmt::format("--device {} --scheme {}", name, chosen.name));
      setting.scheme = fit_scheme(std::move(chosen), *device);
      settings.push_back(std::move(setting));
    }
  }
  for (const std::string& path : options.plans) {
    Setting setting;
    TSR_ASSIGN_OR_RETURN(
        LoadedPlan plan,
        load_plan(path, model, options.threads, options.isolate));
    if (plan.has_simulated() && !plan.is_simulated()) {
      return Status(TSR_INVALID_ARGUMENT,
                    path +
                        ": its devices run on two clocks, which have no "
                        "common time; `tessera plan --verify` splits them");
    }
    setting.plan = std::move(plan);
    setting.command = command_of(options, "--plan " + path);
    settings.push_back(std::move(setting));
  }
  if (!settings.empty()) return settings;
  return Status(TSR_NOT_FOUND,
                "no device is ready; `tessera devices` says why");
}

Result<std::unique_ptr<Session>> open_for(const LoadedModel& model,
                                          const Setting& setting,
                                          const bench::ModelLoad& load,
                                          bool profile) {
  SessionOptions options;
  options.max_tokens = std::max(kStepTokens, load.batch);
  options.max_seqs = load.batch;
  options.max_outputs = load.batch;
  options.max_context = load.context + load.tokens;
  options.profile = profile;
  return setting.plan
             ? open_plan_session(model, *setting.plan, options)
             : open_session(model, setting.device, setting.scheme, options);
}

// First op of each program of a plan, or of the only one.
std::vector<uint32_t> program_ops(const Setting& setting,
                                  const Session& session) {
  if (!setting.plan) return {0};
  const LoadedPlan& plan = *setting.plan;
  const Result<Plan> lowered =
      runtime_plan(plan.file, session.graph(), plan.base, plan.devices);
  std::vector<uint32_t> first;
  if (!lowered.ok()) return first;
  for (const OpRange& range : split_by_device(session.graph(), *lowered)) {
    first.push_back(range.first);
  }
  return first;
}

Json row_head(const Setting& setting, const bench::ModelLoad& load) {
  Json row;
  row["device"] =
      setting.plan ? setting.plan->device_names() : setting.device->name();
  row["scheme"] = setting.plan ? Json() : Json(setting.scheme.name);
  row["plan"] = setting.plan ? Json(setting.plan->path) : Json();
  row["batch"] = load.batch;
  row["context"] = load.context;
  row["tokens"] = load.tokens;
  row["clock"] = setting.is_simulated() ? "simulated" : "wall";
  row["reason"] = "";
  for (const char* key : {"prefill_tokens_per_s", "decode_tokens_per_s",
                          "first_token_ns", "step_ns", "memory", "breakdown"}) {
    row[key] = nullptr;
  }
  return row;
}

// `name` and `name`_ci95 of tokens per second, from times.
void add_rate(Json& row, const std::string& name, double tokens,
              const std::vector<double>& times) {
  const bench::MedianInterval found = bench::median_interval(times);
  if (found.low <= 0.0) return;
  row[name] = 1e9 * tokens / found.median;
  row[name + "_ci95"] = {1e9 * tokens / found.high, 1e9 * tokens / found.low};
}

void add_samples(const std::vector<bench::ModelSample>& samples,
                 const bench::ModelLoad& load, Json& row) {
  std::vector<double> prefill;
  std::vector<double> first;
  std::vector<double> decode;
  std::vector<double> steps;
  for (const bench::ModelSample& sample : samples) {
    prefill.push_back(sample.prefill_ns);
    first.push_back(sample.first_token_ns);
    double sum = 0.0;
    for (const double ns : sample.step_ns) sum += ns;
    decode.push_back(sum);
    steps.insert(steps.end(), sample.step_ns.begin(), sample.step_ns.end());
  }
  const double batch = load.batch;
  add_rate(row, "prefill_tokens_per_s", batch * load.context, prefill);
  add_rate(row, "decode_tokens_per_s", batch * load.tokens, decode);
  const bench::MedianInterval token = bench::median_interval(first);
  row["first_token_ns"] = token.median;
  row["first_token_ns_ci95"] = {token.low, token.high};
  row["step_ns"] = {{"p50", bench::quantile_of(steps, 0.5)},
                    {"p90", bench::quantile_of(steps, 0.9)},
                    {"p99", bench::quantile_of(steps, 0.99)},
                    {"max", bench::quantile_of(steps, 1.0)}};
  row["samples"] = {{"prefill_ns", prefill}, {"decode_ns", decode}};
}

Json shares_json(const std::vector<bench::TimeShare>& shares) {
  Json list = Json::array();
  for (const bench::TimeShare& share : shares) {
    list.push_back({{"name", share.name},
                    {"prefill_ns", share.prefill_ns},
                    {"decode_ns", share.decode_ns}});
  }
  return list;
}

Status add_breakdown(const LoadedModel& model, const Setting& setting,
                     const bench::ModelLoad& load, Json& row) {
  TSR_ASSIGN_OR_RETURN(const std::unique_ptr<Session> session,
                       open_for(model, setting, load, true));
  TSR_ASSIGN_OR_RETURN(
      const bench::Breakdown found,
      bench::break_down(*session, load, program_ops(setting, *session)));
  row["breakdown"] = {{"ops", shares_json(found.ops)},
                      {"layers", shares_json(found.layers)}};
  return {};
}

// A setting under one load: its session, and what it was measured to do.
struct Contender {
  const Setting* setting = nullptr;
  std::unique_ptr<Session> session;
  std::vector<bench::ModelSample> samples;
  Status status;
};

Contender open_contender(const LoadedModel& model, const Setting& setting,
                         const bench::ModelLoad& load) {
  Contender contender;
  contender.setting = &setting;
  const uint32_t most = model.model->config.max_positions;
  if (load.context + load.tokens > most) {
    contender.status = {TSR_INVALID_ARGUMENT,
                        fmt::format("{} and {} tokens are more than the "
                                    "model's context of {}",
                                    load.context, load.tokens, most)};
    return contender;
  }
  Result<std::unique_ptr<Session>> session =
      open_for(model, setting, load, setting.is_simulated());
  if (session.ok()) {
    contender.session = std::move(*session);
  } else {
    contender.status = std::move(session).status();
  }
  return contender;
}

// One sample of each, in turns; the first round warms up.
void take_samples(const ModelOptions& options, const bench::ModelLoad& load,
                  std::vector<Contender>& contenders) {
  for (uint32_t round = 0; round <= options.repetitions; ++round) {
    for (Contender& contender : contenders) {
      if (!contender.status.ok()) continue;
      const bool simulated = contender.setting->is_simulated();
      // A simulated clock says the same every time.
      if (simulated && round > 1) continue;
      Result<bench::ModelSample> sample =
          bench::run_model(*contender.session, load, simulated);
      if (!sample.ok()) {
        contender.status = std::move(sample).status();
      } else if (round > 0) {
        contender.samples.push_back(std::move(*sample));
      }
    }
  }
}

Json measure_row(const ModelOptions& options, const LoadedModel& model,
                 const bench::ModelLoad& load, Contender& contender) {
  Json row = row_head(*contender.setting, load);
  if (contender.status.ok()) {
    add_samples(contender.samples, load, row);
    const Session::Memory& memory = contender.session->memory();
    row["memory"] = {{"weight_bytes", memory.weight_bytes},
                     {"kv_bytes", memory.kv_bytes},
                     {"workspace_bytes", memory.workspace_bytes}};
    contender.session.reset();
    if (options.breakdown) {
      contender.status = add_breakdown(model, *contender.setting, load, row);
    }
  }
  row["reason"] = contender.status.message();
  ModelOptions one = options;
  one.batches = {load.batch};
  one.contexts = {load.context};
  const Setting& setting = *contender.setting;
  row["command"] =
      command_of(one, setting.plan ? "--plan " + setting.plan->path
                                   : fmt::format("--device {} --scheme {}",
                                                 setting.device->name(),
                                                 setting.scheme.name));
  row["group"] = setting.command;
  return row;
}

// Rows by setting, then batch and context.
Json sorted(const Json& rows, const std::vector<Setting>& settings) {
  Json list = Json::array();
  for (const Setting& setting : settings) {
    for (const Json& row : rows) {
      if (row.at("group") == setting.command) list.push_back(row);
    }
  }
  return list;
}

Status run_bench_model(const ModelOptions& options) {
  TSR_ASSIGN_OR_RETURN(const LoadedModel model, load_model(options.model));
  TSR_ASSIGN_OR_RETURN(const std::vector<Setting> settings,
                       find_settings(options, model));
  Progress progress("bench model");
  const bench::MachineLoad machine;
  Json rows = Json::array();
  const size_t loads = options.batches.size() * options.contexts.size();
  size_t done = 0;
  for (const uint32_t batch : options.batches) {
    for (const uint32_t context : options.contexts) {
      const bench::ModelLoad load{batch, context, options.tokens};
      std::vector<Contender> contenders;
      contenders.reserve(settings.size());
      for (const Setting& setting : settings) {
        contenders.push_back(open_contender(model, setting, load));
      }
      take_samples(options, load, contenders);
      for (Contender& contender : contenders) {
        rows.push_back(measure_row(options, model, load, contender));
      }
      progress.update(static_cast<double>(++done) / static_cast<double>(loads));
    }
  }
  rows = sorted(rows, settings);
  const double others = machine.others_share();
  if (options.json) {
    for (Json& row : rows) {
      row.erase("group");
      row["others_share"] = others < 0.0 ? Json() : Json(others);
    }
    print_json(rows);
    return {};
  }
  write_out(model_text(rows));
  constexpr double kQuiet = 0.06;
  if (others > kQuiet) {
    write_out(fmt::format(
        "other processes took {:.0f} % of the machine: figures are disturbed\n",
        100.0 * others));
  }
  return {};
}

void add_load_options(CLI::App& app, ModelOptions& options) {
  app.add_option("--batch", options.batches,
                 "Sequences at once, 1 to 32 say; several with commas")
      ->delimiter(',')
      ->check(count_validator(1, 4096))
      ->type_name("N")
      ->capture_default_str();
  app.add_option("--context", options.contexts,
                 "Prompt tokens of each sequence; several with commas")
      ->delimiter(',')
      ->check(count_validator(1, 1U << 24))
      ->type_name("N")
      ->capture_default_str();
  app.add_option("-n,--tokens", options.tokens,
                 "Tokens decoded after the prompt")
      ->check(count_validator(1, 1U << 20))
      ->type_name("N")
      ->capture_default_str();
  app.add_option("--repetitions", options.repetitions,
                 "Runs of each, all devices and schemes taken in turn")
      ->check(count_validator(1, 10000))
      ->type_name("N")
      ->capture_default_str();
  app.add_flag("--breakdown", options.breakdown,
               "Profile one more run, by op and by layer");
}

}  // namespace

Command add_bench_model_command(CLI::App& bench) {
  CLI::App* app = bench.add_subcommand("model", "Time a whole model");
  auto options = std::make_shared<ModelOptions>();
  add_model_option(*app, options->model);
  app->add_option("--device", options->devices,
                  "Devices; left out: all that are not simulated, unless "
                  "--plan is given; several with commas")
      ->delimiter(',')
      ->type_name("DEVICE");
  app->add_option("--scheme", options->schemes,
                  "Precisions; left out: that of the checkpoint; several with "
                  "commas")
      ->delimiter(',')
      ->check(scheme_validator())
      ->type_name("SCHEME");
  app->add_option("--plan", options->plans,
                  "Plan lock files of `tessera plan`; several with commas")
      ->delimiter(',')
      ->type_name("FILE");
  add_load_options(*app, *options);
  add_threads_option(*app, options->threads);
  app->add_flag("--isolate", options->isolate,
                "Run plugins in a child process");
  add_json_option(*app, options->json);
  app->footer(
      "Examples:\n"
      "  tessera bench model --scheme f32,w8a8_dynamic,w4a16 --batch 1,8 "
      "--context 128\n"
      "  tessera bench model Qwen3-0.6B --device cpu --scheme w4a16 --context "
      "128,4096 --breakdown\n"
      "  tessera bench model --plan plan.json");
  return {app, [options] { return run_bench_model(*options); }};
}

}  // namespace tessera::cli
