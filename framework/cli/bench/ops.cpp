// SPDX-License-Identifier: Apache-2.0
//
// tessera bench ops: the same ops on every device.

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <filesystem>
#include <limits>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "framework/base/machine_load.hpp"
#include "framework/bench/op_row.hpp"
#include "framework/bench/peers/peers.hpp"
#include "framework/bench/simulated_op.hpp"
#include "framework/bench/timed/make_op.hpp"
#include "framework/cli/bench/bench.hpp"
#include "framework/cli/bench/harness.hpp"
#include "framework/cli/bench/ops_options.hpp"
#include "framework/cli/bench/ops_table.hpp"
#include "framework/cli/console.hpp"
#include "framework/cli/figures.hpp"
#include "framework/cli/json_output.hpp"
#include "framework/cli/progress.hpp"
#include "framework/cli/target_options.hpp"

namespace tessera::cli {
namespace {

using bench::OpQuestion;

// A device that ops are asked of.
struct Subject {
  std::string name;
  std::shared_ptr<Device> device;
  bool is_simulator = false;
  std::unique_ptr<bench::Submitter> submitter;
  std::unique_ptr<bench::DeviceLimits> limits;

  // Timed, and on this machine's processor.
  bool is_of_host() const { return limits != nullptr && limits->is_of_host(); }
};

struct OpsRun {
  const OpsOptions& options;
  bench::HostLimits host_limits;
  std::vector<Subject> subjects;
  bench::Peers peers;
  bench::EnergyMeter energy;
  Json rows = Json::array();
};

// The plugin may run in another folder.
std::map<std::string, std::string> absolute_paths(
    const std::map<std::string, std::string>& files) {
  std::map<std::string, std::string> absolute;
  for (const auto& [kind, path] : files) {
    std::error_code code;
    absolute[kind] = std::filesystem::absolute(path, code).string();
  }
  return absolute;
}

// Those that are named, or all that are ready and not simulated.
std::vector<std::string> device_names(const OpsOptions& options,
                                      const Registry& registry) {
  if (!options.devices.empty()) return options.devices;
  std::vector<std::string> names;
  for (const DeviceEntry& entry : registry.devices()) {
    if (entry.status.ok() && entry.facts.info.clock == TSR_CLOCK_WALL) {
      names.push_back(entry.name);
    }
  }
  return names;
}

Status open_subjects(const Registry& registry, OpsRun& run) {
  for (const std::string& name : device_names(run.options, registry)) {
    Subject subject;
    subject.name = name;
    TSR_ASSIGN_OR_RETURN(subject.device,
                         registry.open(name).annotate("--device"));
    subject.is_simulator = bench::is_simulator(subject.device->info());
    if (!subject.is_simulator) {
      if (!run.options.files.empty()) {
        return {TSR_INVALID_ARGUMENT,
                fmt::format("--device {}: --trace, --csv, --svg and --listing "
                            "are of simulated devices",
                            name)};
      }
      TSR_ASSIGN_OR_RETURN(
          subject.submitter,
          bench::Submitter::create(subject.device).annotate(name));
      subject.limits = std::make_unique<bench::DeviceLimits>(
          *subject.submitter,
          is_processor(*subject.device, registry) ? &run.host_limits : nullptr);
    }
    run.subjects.push_back(std::move(subject));
  }
  if (!run.subjects.empty()) return {};
  return {TSR_NOT_FOUND, "no device is ready; `tessera devices` says why"};
}

Result<Json> simulate(const OpsRun& run, const Subject& subject,
                      const OpQuestion& question) {
  const Json request =
      bench::simulator_request(question, absolute_paths(run.options.files));
  TSR_ASSIGN_OR_RETURN(const Json report,
                       bench::ask_simulator(*subject.device, request));
  return bench::simulated_row(question, subject.name, report);
}

bool is_transfer(const OpQuestion& question) {
  return question.op == "copy" || question.op == "upload" ||
         question.op == "download";
}

// The row of a measured op.  One that beats its limit has shown the probe to be
// disturbed, which then tries again.
Result<Json> row_of(Subject& subject, const OpQuestion& question,
                    const bench::TimedOp& op,
                    const bench::Measurement& measurement) {
  constexpr double kMostShare = 1.02;
  constexpr int kTries = 3;
  Json row;
  for (int i = 0; i < kTries; ++i) {
    TSR_ASSIGN_OR_RETURN(
        const bench::OpLimit limit,
        subject.limits->limit_of(
            op, is_transfer(question),
            i == 0 ? bench::Probe::kOnce : bench::Probe::kAgain));
    row = bench::measured_row(question, op, measurement, limit);
    const Json& share = row.at("achieved_over_limit");
    const bool is_fine =
        !share.is_number() || share.get<double>() <= kMostShare;
    row["limit_ok"] = is_fine;
    if (is_fine) break;
  }
  return row;
}

// The row of the processor that peers run on too; null if there is none.
Json row_of_processor(const OpsRun& run, const std::vector<Json>& rows) {
  for (size_t i = 0; i < rows.size(); ++i) {
    if (!run.subjects[i].is_of_host()) continue;
    if (rows[i].at("median_ns").is_number()) return rows[i];
  }
  return nullptr;
}

void add_peer_rows(OpsRun& run, const OpQuestion& question, const Json& ours) {
  for (Json& row : run.peers.rows(question, ours)) {
    OpsOptions alone = run.options;
    alone.peers = {row.at("peer").get<std::string>()};
    row["command"] = command_of(alone, question, "cpu");
    row["case"] = case_of(run.options, question, row.at("peer"));
    run.rows.push_back(std::move(row));
  }
}

// What the processor's counters say of an op that ran on it, where the device
// itself tells no energy.
void add_processor_energy(const Subject& subject,
                          const bench::Measurement& found, Json& row) {
  if (found.energy_nj > 0 || found.processor_nj == 0 || found.ops == 0) return;
  if (!subject.limits->is_of_host()) return;
  row["energy_nj"] =
      static_cast<double>(found.processor_nj) / static_cast<double>(found.ops);
}

// One question on all devices, in turns.
Status ask_all(OpsRun& run, const OpQuestion& question) {
  const bench::MakeOptions make{question.cold, run.options.cold_mib << 20};
  std::vector<std::unique_ptr<bench::Placements>> made(run.subjects.size());
  std::vector<bench::Placements*> ops;
  std::vector<Json> rows(run.subjects.size());
  for (size_t i = 0; i < run.subjects.size(); ++i) {
    Subject& subject = run.subjects[i];
    if (subject.is_simulator) {
      Result<Json> row = simulate(run, subject, question);
      // Where others may run the op, a refusal is an answer.
      if (!row.ok() && run.subjects.size() == 1) {
        return std::move(row).status();
      }
      rows[i] = row.ok()
                    ? std::move(*row)
                    : bench::failed_row(question, subject.name, row.status());
      continue;
    }
    auto placements = bench::Placements::create([&subject, &question, &make] {
      return bench::make_op(*subject.submitter, question, make);
    });
    if (placements.ok()) {
      made[i] = std::make_unique<bench::Placements>(std::move(*placements));
      ops.push_back(made[i].get());
    } else if (placements.status().code() == TSR_INVALID_ARGUMENT) {
      return std::move(placements).status().annotate(subject.name);
    } else {
      rows[i] = bench::failed_row(question, subject.name, placements.status());
    }
  }
  run.peers.prepare(question);
  bench::MeasureOptions options = run.options.measure;
  options.after_round = [&] { run.peers.sample(options.batch_ns); };
  options.energy = &run.energy;
  const MachineLoad load;
  const std::vector<bench::Measurement> measurements =
      bench::measure(ops, options);
  const double others = load.others_share();
  size_t next = 0;
  for (size_t i = 0; i < run.subjects.size(); ++i) {
    Subject& subject = run.subjects[i];
    if (made[i] != nullptr) {
      const bench::Measurement& found = measurements[next++];
      if (found.status.ok()) {
        TSR_ASSIGN_OR_RETURN(
            rows[i], row_of(subject, question, made[i]->first(), found));
        rows[i]["others_share"] = others < 0.0 ? Json() : Json(others);
        add_processor_energy(subject, found, rows[i]);
      } else {
        rows[i] = bench::failed_row(question, subject.name, found.status);
      }
    }
    rows[i]["command"] = command_of(run.options, question, subject.name);
    rows[i]["case"] = case_of(run.options, question, subject.name);
    run.rows.push_back(rows[i]);
  }
  add_peer_rows(run, question, row_of_processor(run, rows));
  return {};
}

std::string names_of(const std::vector<Subject>& subjects) {
  std::vector<std::string> names;
  names.reserve(subjects.size());
  for (const Subject& subject : subjects) names.push_back(subject.name);
  return fmt::format("{}", fmt::join(names, ","));
}

std::string limits_text(const bench::HostLimits& limits) {
  std::string text;
  for (const auto& [name, limit] : limits.all()) {
    const bool is_bytes = name.starts_with("read") || name.starts_with("copy");
    text +=
        fmt::format("  {:<16} {:>8.1f} {}{}\n", name, limit.per_ns,
                    is_bytes ? "GB/s   " : "GOP/s", is_bytes ? limit.how : "");
  }
  if (text.empty()) return text;
  return fmt::format("limits of the processor, {} threads, in this run:\n",
                     limits.num_threads()) +
         text;
}

double largest(const Json& rows, const char* key) {
  double most = 0.0;
  for (const Json& row : rows) {
    const auto found = row.find(key);
    if (found == row.end() || !found->is_number()) continue;
    most = std::max(most, found->get<double>());
  }
  return most;
}

// Where no row has its energy: why.
std::string energy_text(const OpsRun& run) {
  const auto is_timed = [](const Json& row) {
    return row.contains("samples_ns") && !row.contains("peer");
  };
  if (std::none_of(run.rows.begin(), run.rows.end(), is_timed)) return "";
  if (largest(run.rows, "energy_nj") > 0.0) return "";
  if (run.energy.reason().empty()) return "energy: no device tells it\n";
  return fmt::format("energy: no device tells it; {}\n", run.energy.reason());
}

std::string footer(const OpsRun& run) {
  std::string text = limits_text(run.host_limits);
  const double others = largest(run.rows, "others_share");
  constexpr double kQuiet = 0.06;
  if (others > kQuiet) {
    text += fmt::format(
        "other processes took up to {:.0f} % of the machine: figures are "
        "disturbed\n",
        100.0 * others);
  }
  double doubtful = 0.0;
  for (const Json& row : run.rows) {
    if (!row.value("limit_ok", true)) doubtful += 1.0;
  }
  if (doubtful > 0.0) {
    text += fmt::format(
        "{:.0f} rows beat their limit by more than 2 %: it was probed on a "
        "busy machine\n",
        doubtful);
  }
  return text + energy_text(run) + harness_text(ops_harness(run.rows));
}

void print_rows(const OpsRun& run) {
  write_out(ops_text(run.rows));
  for (const Json& row : run.rows) {
    if (!row.contains("simulation")) continue;
    for (const auto& file : row.at("simulation").at("files").items()) {
      write_out(
          fmt::format("{}: {}\n", file.key(), file.value().get<std::string>()));
    }
    if (row.at("simulation").value("trace_events_left_out", 0) > 0) {
      write_out("trace: events after the first million are left out\n");
    }
  }
  write_out(footer(run));
}

// The first row that is wrong, as a failure.
Status wrong_result(const Json& rows) {
  for (const Json& row : rows) {
    if (row.value("correct", Json()) != false) continue;
    return {TSR_DATA_LOSS, fmt::format("{} of {} is wrong: {}",
                                       row.at("op").get<std::string>(),
                                       row.at("device").get<std::string>(),
                                       row.at("reason").get<std::string>())};
  }
  return {};
}

std::vector<std::string> chosen_peers(const OpsOptions& options) {
  const auto& names = options.peers;
  const bool all = std::find(names.begin(), names.end(), "all") != names.end();
  return all ? bench::peer_names() : names;
}

// Of all rows at the end, when most is known of how far the machine wanders.
void add_intervals(OpsRun& run) {
  const auto is_of_host = [&](const Json& row) {
    if (row.contains("peer")) return true;
    const auto found = std::find_if(
        run.subjects.begin(), run.subjects.end(),
        [&](const Subject& one) { return one.name == row.at("device"); });
    return found != run.subjects.end() && found->is_of_host();
  };
  for (Json& row : run.rows) {
    if (!row.contains("samples_ns")) continue;
    bench::add_interval(is_of_host(row) ? run.host_limits.wander() : 0.0, row);
  }
}

// Fills the rows.
Status ask_questions(const std::vector<OpQuestion>& questions, OpsRun& run) {
  const bool is_timed =
      std::any_of(run.subjects.begin(), run.subjects.end(),
                  [](const Subject& one) { return one.is_of_host(); });
  if (is_timed) run.host_limits.probe_wander();
  Progress progress("bench ops");
  const std::string names = names_of(run.subjects);
  for (size_t i = 0; i < questions.size(); ++i) {
    const size_t first = run.rows.size();
    TSR_RETURN_IF_ERROR(ask_all(run, questions[i]));
    const std::string group = command_of(run.options, questions[i], names);
    for (size_t at = first; at < run.rows.size(); ++at) {
      run.rows[at]["group"] = group;
    }
    progress.update(static_cast<double>(i + 1) /
                    static_cast<double>(questions.size()));
  }
  if (is_timed) run.host_limits.probe_wander();
  add_intervals(run);
  return {};
}

Status run_ops(const OpsOptions& options) {
  TSR_ASSIGN_OR_RETURN(const std::vector<OpQuestion> questions,
                       make_questions(options));
  const Registry registry =
      discover_plugins(options.threads, options.isolate, options.devices);
  OpsRun run{options,
             bench::HostLimits(options.threads),
             {},
             bench::Peers({chosen_peers(options), options.peer_python,
                           options.threads, options.cold_mib << 20}),
             bench::EnergyMeter()};
  TSR_RETURN_IF_ERROR(open_subjects(registry, run));
  TSR_ASSIGN_OR_RETURN(KeptRun kept, KeptRun::begin(options.history, "ops"));
  for (const Subject& subject : run.subjects) kept.add_device(*subject.device);
  TSR_RETURN_IF_ERROR(ask_questions(questions, run));
  const Status kept_status = kept.keep(settings_json(options), run.rows);
  if (options.json) {
    for (Json& row : run.rows) row.erase("group");
    TSR_RETURN_IF_ERROR(print_json("bench ops", run.rows));
  } else {
    print_rows(run);
    write_out(kept_text(kept));
  }
  TSR_RETURN_IF_ERROR(kept_status);
  return wrong_result(run.rows);
}

}  // namespace

Command add_bench_ops_command(CLI::App& bench) {
  CLI::App* app = bench.add_subcommand("ops", "Time ops of any shape");
  auto options = std::make_shared<OpsOptions>();
  add_ops_options(*app, *options);
  app->footer(
      "Examples:\n"
      "  tessera bench ops --preset qwen3-0.6b --scheme w8a8,w4a16\n"
      "  tessera bench ops --device cpu,npu_sim:910b --shape 128x4096x4096\n"
      "  tessera bench ops --device cpu --op attention --q-len 1,512 --kv-len "
      "512,4096\n"
      "      --heads 32 --kv-heads 8 --kv bf16,int8,fa3\n"
      "  tessera bench ops --device cpu --op small,transfers --shape 512x4096\n"
      "  tessera bench ops --device npu_sim:910b --op copy --shape 9216x16384 "
      "--tile 64x1024");
  return {app, [app, options] {
            std::erase_if(options->files,
                          [](const auto& file) { return file.second.empty(); });
            options->measure.batch_ns = 1e6 * options->batch_ms;
            if (app->count("--repetitions") > 0) {
              options->measure.max_ns = std::numeric_limits<double>::infinity();
            }
            return run_ops(*options);
          }};
}

}  // namespace tessera::cli
