// SPDX-License-Identifier: Apache-2.0
//
// tessera bench model: a whole model on each device, in each scheme, by batch
// and context.

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "framework/base/machine_load.hpp"
#include "framework/bench/limits/host_limits.hpp"
#include "framework/cli/bench/bench.hpp"
#include "framework/cli/bench/harness.hpp"
#include "framework/cli/bench/model_memory.hpp"
#include "framework/cli/bench/model_options.hpp"
#include "framework/cli/bench/model_row.hpp"
#include "framework/cli/bench/model_table.hpp"
#include "framework/cli/console.hpp"
#include "framework/cli/progress.hpp"
#include "framework/cli/random_model.hpp"
#include "framework/runtime/lowering.hpp"
#include "framework/tuning/plan/runtime_plan.hpp"

namespace tessera::cli {
namespace {

constexpr uint32_t kStepTokens = 512;  // as `tessera run` steps

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

Status break_row_down(const LoadedModel& model, const Setting& setting,
                      const bench::ModelLoad& load, Json& row) {
  TSR_ASSIGN_OR_RETURN(const std::unique_ptr<Session> session,
                       open_for(model, setting, load, true));
  TSR_ASSIGN_OR_RETURN(
      const bench::Breakdown found,
      bench::break_down(*session, load, program_ops(setting, *session)));
  add_breakdown(found, row);
  return {};
}

// A setting under one load: its session, and what it was measured to do.
struct Contender {
  const Setting* setting = nullptr;
  std::unique_ptr<Session> session;
  std::vector<bench::ModelSample> samples;
  StepReads reads;  // on this machine's processor
  Status status;
};

// Memory that is read beside the samples, by how much it is.
using ReadWatches = std::map<uint64_t, bench::ReadWatch>;

// Finds what the decoding of `contender` is held against.  Nothing if
// `free_bytes` do not hold the memory for two probes, which stand side by side
// while the better is looked for.
void watch_reads(const LoadedModel& model, const bench::ModelLoad& load,
                 uint64_t free_bytes, bench::HostLimits& limits,
                 ReadWatches& watches, Contender& contender) {
  if (!contender.status.ok() || !contender.setting->on_processor) return;
  const Result<double> bytes = step_bytes(model, *contender.setting, load);
  if (!bytes.ok()) return;
  const uint64_t probe =
      bench::HostLimits::probe_bytes(static_cast<uint64_t>(*bytes));
  if (free_bytes < 2 * probe) return;
  contender.reads.bytes = *bytes;
  if (watches.count(probe) == 0) {
    watches.emplace(probe, limits.watch_read(probe));
  }
}

void take_read(ReadWatches& watches, StepReads& reads) {
  if (reads.bytes == 0.0) return;
  bench::ReadWatch& watch = watches.at(
      bench::HostLimits::probe_bytes(static_cast<uint64_t>(reads.bytes)));
  reads.per_ns.push_back(watch.sample());
  reads.best = watch.best();
}

// Opens its session if `free_bytes` suffice, and takes what it needs of them:
// the sessions of all settings stand side by side.
Contender open_contender(const LoadedModel& model, const Setting& setting,
                         const bench::ModelLoad& load, uint64_t& free_bytes) {
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
  const Result<ModelNeed> need = model_need(model, setting, load);
  contender.status =
      need.ok() ? check_memory(*need, free_bytes) : need.status();
  if (!contender.status.ok()) return contender;
  free_bytes -= need->bytes();
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
                  ReadWatches& watches, std::vector<Contender>& contenders) {
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
        take_read(watches, contender.reads);
      }
    }
  }
}

Json measure_row(const ModelOptions& options, const LoadedModel& model,
                 const bench::ModelLoad& load, double machine_wander,
                 Contender& contender) {
  Json row = row_head(*contender.setting, load);
  if (contender.status.ok()) {
    const bool simulated = contender.setting->is_simulated();
    add_samples(contender.samples, load, simulated ? 0.0 : machine_wander, row);
    if (contender.reads.best.per_ns > 0.0) {
      add_decode_limit(contender.samples, contender.reads, row);
    }
    const Session::Memory& memory = contender.session->memory();
    row["memory"] = {{"weight_bytes", memory.weight_bytes},
                     {"kv_bytes", memory.kv_bytes},
                     {"workspace_bytes", memory.workspace_bytes}};
    contender.session.reset();
    if (options.breakdown) {
      contender.status = break_row_down(model, *contender.setting, load, row);
    }
  }
  row["reason"] = contender.status.message();
  ModelOptions one = options;
  one.batches = {load.batch};
  one.contexts = {load.context};
  const Setting& setting = *contender.setting;
  row["command"] = command_of(one, setting.what);
  row["case"] = case_of(options, setting, load);
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

void add_devices(const std::vector<Setting>& settings, KeptRun& kept) {
  for (const Setting& setting : settings) {
    if (!setting.plan) {
      kept.add_device(*setting.device);
      continue;
    }
    for (const auto& entry : setting.plan->devices) {
      kept.add_device(*entry.second);
    }
  }
}

// 0 where all clocks are simulated.
double wander_of_host(const std::vector<Setting>& settings,
                      bench::HostLimits& limits) {
  const bool is_timed = std::any_of(
      settings.begin(), settings.end(),
      [](const Setting& setting) { return !setting.is_simulated(); });
  if (!is_timed) return 0.0;
  limits.probe_wander();
  return limits.wander();
}

// Rows of all settings under one load.
Json measure_load(const ModelOptions& options, const LoadedModel& model,
                  const std::vector<Setting>& settings,
                  const bench::ModelLoad& load, double machine_wander,
                  bench::HostLimits& limits) {
  std::vector<Contender> contenders;
  contenders.reserve(settings.size());
  uint64_t free_bytes = free_memory();
  for (const Setting& setting : settings) {
    contenders.push_back(open_contender(model, setting, load, free_bytes));
  }
  {
    ReadWatches watches;
    for (Contender& contender : contenders) {
      watch_reads(model, load, free_memory(), limits, watches, contender);
    }
    take_samples(options, load, watches, contenders);
  }
  Json rows = Json::array();
  for (Contender& contender : contenders) {
    rows.push_back(
        measure_row(options, model, load, machine_wander, contender));
  }
  return rows;
}

Status run_bench_model(const ModelOptions& options) {
  TSR_ASSIGN_OR_RETURN(const LoadedModel model,
                       options.preset.empty() ? load_model(options.model)
                                              : random_model(options.preset));
  TSR_ASSIGN_OR_RETURN(const std::vector<Setting> settings,
                       find_settings(options, model));
  TSR_ASSIGN_OR_RETURN(KeptRun kept, KeptRun::begin(options.history, "model"));
  add_devices(settings, kept);
  Progress progress("bench model");
  const MachineLoad machine;
  bench::HostLimits limits(options.threads);
  const double wander = wander_of_host(settings, limits);
  Json rows = Json::array();
  const size_t loads = options.batches.size() * options.contexts.size();
  size_t done = 0;
  for (const uint32_t batch : options.batches) {
    for (const uint32_t context : options.contexts) {
      const bench::ModelLoad load{batch, context, options.tokens};
      for (Json& row :
           measure_load(options, model, settings, load, wander, limits)) {
        rows.push_back(std::move(row));
      }
      progress.update(static_cast<double>(++done) / static_cast<double>(loads));
    }
  }
  rows = sorted(rows, settings);
  const double others = machine.others_share();
  for (Json& row : rows) {
    row["others_share"] = others < 0.0 ? Json() : Json(others);
  }
  Status kept_status = kept.keep(settings_json(options), rows);
  if (options.json) {
    for (Json& row : rows) row.erase("group");
    TSR_RETURN_IF_ERROR(print_json("bench model", rows));
    return kept_status;
  }
  write_out(model_text(rows));
  constexpr double kQuiet = 0.06;
  if (others > kQuiet) {
    write_out(fmt::format(
        "other processes took {:.0f} % of the machine: figures are disturbed\n",
        100.0 * others));
  }
  write_out(harness_text(model_harness(rows)));
  write_out(kept_text(kept));
  return kept_status;
}

}  // namespace

Command add_bench_model_command(CLI::App& bench) {
  CLI::App* app = bench.add_subcommand("model", "Time a whole model");
  auto options = std::make_shared<ModelOptions>();
  add_bench_model_options(*app, *options);
  app->footer(
      "Examples:\n"
      "  tessera bench model --scheme f32,w8a8_dynamic,w4a16 --batch 1,8 "
      "--context 128\n"
      "  tessera bench model Qwen3-0.6B --device cpu --scheme w4a16 --context "
      "128,4096 --breakdown\n"
      "  tessera bench model --preset qwen3-0.6b --scheme w4a16 --context 128\n"
      "  tessera bench model --plan plan.json");
  return {app, [options] { return run_bench_model(*options); }};
}

}  // namespace tessera::cli
