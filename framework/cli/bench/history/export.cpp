// SPDX-License-Identifier: Apache-2.0
//
// tessera bench export: a run for other tools.

#include <fmt/format.h>

#include <memory>
#include <string>

#include "framework/base/atomic_file.hpp"
#include "framework/bench/history/export_run.hpp"
#include "framework/cli/bench/bench.hpp"
#include "framework/cli/bench/history/chosen_run.hpp"
#include "framework/cli/bench/history/kept_run.hpp"
#include "framework/cli/bench/history/run_json.hpp"
#include "framework/cli/console.hpp"

namespace tessera::cli {
namespace {

struct ExportOptions {
  std::string run = "latest";
  std::string format = "csv";
  bool json = false;
  std::string out;  // empty: stdout
  std::string db;
};

Status run_export(const ExportOptions& options) {
  const std::string format = options.json ? "json" : options.format;
  TSR_ASSIGN_OR_RETURN(const bench::RunRecord run,
                       load_run(options.run, options.db));
  std::string text;
  if (format == "csv") {
    text = bench::to_csv(run);
  } else if (format == "google-benchmark") {
    text = json_text(bench::to_google_benchmark(run));
  } else {
    const Json json = run_json(run);
    TSR_RETURN_IF_ERROR(check_json("bench export", json));
    text = json_text(json);
  }
  if (!options.out.empty()) return write_file_atomically(options.out, text);
  write_out(text);
  return {};
}

}  // namespace

Command add_bench_export_command(CLI::App& bench) {
  CLI::App* app = bench.add_subcommand("export", "Write a run for other tools");
  auto options = std::make_shared<ExportOptions>();
  app->add_option("RUN", options->run, fmt::format("Run: {}", kRunHelp))
      ->type_name("")
      ->capture_default_str();
  app->add_option("--format", options->format,
                  "csv: a line for each sample; google-benchmark: JSON that "
                  "its tools compare; json: as `bench show --json`")
      ->check(CLI::IsMember({"csv", "google-benchmark", "json"}))
      ->type_name("FORMAT")
      ->capture_default_str();
  app->add_flag("--json", options->json, "The same as --format json")
      ->excludes("--format");
  app->add_option("-o,--output", options->out, "File; left out: stdout")
      ->type_name("FILE");
  add_db_option(*app, options->db);
  app->footer(
      "Examples:\n"
      "  tessera bench export latest --format csv -o samples.csv\n"
      "  tessera bench export 12 --format google-benchmark -o run.json");
  return {app, [options] { return run_export(*options); }};
}

}  // namespace tessera::cli
