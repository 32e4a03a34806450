// SPDX-License-Identifier: Apache-2.0

#include "framework/cli/bench/history/kept_run.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "framework/cli/console.hpp"
#include "framework/cli/devices/environment.hpp"
#include "framework/host/trust/certificate.hpp"
#include "framework/tuning/plan/runtime_plan.hpp"

namespace tessera::cli {

void add_db_option(CLI::App& app, std::string& db) {
  app.add_option("--db", db,
                 "History file; left out: $XDG_STATE_HOME/tessera/history.db, "
                 "or that of ~/.local/state")
      ->type_name("FILE");
}

void add_history_options(CLI::App& app, HistoryOptions& options) {
  add_db_option(app, options.db);
  app.add_flag("--no-history", options.off,
               "Do not keep the run for `bench list`, `diff` and `export`")
      ->excludes("--db");
}

Result<std::string> history_path(const std::string& db) {
  if (!db.empty()) return db;
  const std::string folder = state_folder();
  if (!folder.empty()) return folder + "/history.db";
  return Status(TSR_FAILED_PRECONDITION,
                "no folder for the history: HOME and XDG_STATE_HOME are not "
                "set; name a file with --db");
}

Result<KeptRun> KeptRun::begin(const HistoryOptions& options,
                               const char* kind) {
  if (!options.db.empty()) {
    TSR_ASSIGN_OR_RETURN(
        const bench::History history,
        bench::History::open(options.db, Database::Access::kReadWrite)
            .annotate("--db"));
  }
  KeptRun run(options);
  bench::RunHead& head = run.record_.head;
  head.uuid = bench::make_uuid();
  head.kind = kind;
  head.began_s = std::time(nullptr);
  head.command = own_command_line();
  return run;
}

void KeptRun::add_device(const Device& device) {
  const bool is_known =
      std::any_of(record_.devices.begin(), record_.devices.end(),
                  [&](const bench::RunDevice& known) {
                    return known.name == device.name();
                  });
  if (is_known) return;
  const Plugin& plugin = device.plugin();
  record_.devices.push_back({device.name(), device.info().name,
                             device.info().driver, device_fingerprint(device),
                             plugin.name(), plugin.version(), plugin.sha256()});
}

Status KeptRun::add_to_history(Json settings, const Json& rows) {
  const Environment environment = read_environment();
  bench::RunHead& head = record_.head;
  head.version = environment.tessera_version;
  head.commit = environment.commit;
  head.machine = machine_fingerprint(environment);
  head.processor = environment.cpu;
  record_.machine = environment_json(environment);
  record_.settings = std::move(settings);
  record_.rows = rows;
  TSR_ASSIGN_OR_RETURN(const std::string path, history_path(options_.db));
  TSR_ASSIGN_OR_RETURN(
      bench::History history,
      bench::History::open(path, Database::Access::kReadWrite));
  TSR_ASSIGN_OR_RETURN(id_, history.add(record_));
  return {};
}

Status KeptRun::keep(Json settings, const Json& rows) {
  if (options_.off || rows.empty()) return {};
  Status status = add_to_history(std::move(settings), rows);
  if (status.ok()) return {};
  if (!options_.db.empty()) return std::move(status).annotate("--db");
  write_err(fmt::format("tessera bench: the run is not kept: {}\n",
                        status.message()));
  return {};
}

std::string kept_text(const KeptRun& run) {
  if (run.id() == 0) return {};
  return fmt::format("kept as run {}; `tessera bench diff` compares runs\n",
                     run.id());
}

}  // namespace tessera::cli
