// SPDX-License-Identifier: Apache-2.0
//
// tessera bench show: one run of the history, as it was printed then.

#include <fmt/format.h>

#include <initializer_list>
#include <memory>
#include <string>

#include "framework/cli/bench/bench.hpp"
#include "framework/cli/bench/history/chosen_run.hpp"
#include "framework/cli/bench/history/kept_run.hpp"
#include "framework/cli/bench/history/run_json.hpp"
#include "framework/cli/bench/model_table.hpp"
#include "framework/cli/bench/ops_table.hpp"
#include "framework/cli/console.hpp"
#include "framework/cli/target_options.hpp"

namespace tessera::cli {
namespace {

struct ShowOptions {
  std::string run = "latest";
  std::string db;
  bool json = false;
};

// A file of another's making may lack what the tables need.
Status check_rows(const bench::RunRecord& run) {
  const std::initializer_list<const char*> ops = {"op", "device", "clock",
                                                  "median_ns", "ci95_ns"};
  const std::initializer_list<const char*> model = {
      "device",         "scheme", "plan",      "clock",
      "batch",          "reason", "context",   "prefill_tokens_per_s",
      "first_token_ns", "memory", "breakdown", "decode_tokens_per_s",
      "step_ns"};
  for (const Json& row : run.rows) {
    for (const char* key : run.head.kind == "ops" ? ops : model) {
      if (row.contains(key)) continue;
      return {TSR_DATA_LOSS,
              fmt::format("{}: a row without {}", run_title(run.head), key)};
    }
  }
  return {};
}

std::string head_text(const bench::RunRecord& run) {
  const bench::RunHead& head = run.head;
  std::string text = run_title(head) + "\n";
  if (head.id == 0) return text + "\n";
  text += wrapped_command(head.command);
  text += wrapped(fmt::format("  tessera {}, commit {}, uuid {}", head.version,
                              head.commit, head.uuid));
  text +=
      wrapped(fmt::format("  machine {}: {}", head.machine, head.processor));
  for (const bench::RunDevice& device : run.devices) {
    text += wrapped(fmt::format("  {}: {}, driver {}, plugin {} {}, SHA-256 {}",
                                device.name, device.description, device.driver,
                                device.plugin, device.plugin_version,
                                device.plugin_sha256.substr(0, 16)));
  }
  return text + "\n";
}

Status run_show(const ShowOptions& options) {
  TSR_ASSIGN_OR_RETURN(bench::RunRecord run, load_run(options.run, options.db));
  if (options.json) {
    return print_json("bench show", run_json(run));
  }
  TSR_RETURN_IF_ERROR(check_rows(run));
  for (Json& row : run.rows) {
    if (!row.contains("group")) row["group"] = bench::case_name(row);
  }
  write_out(head_text(run) + (run.head.kind == "ops" ? ops_text(run.rows)
                                                     : model_text(run.rows)));
  return {};
}

}  // namespace

Command add_bench_show_command(CLI::App& bench) {
  CLI::App* app = bench.add_subcommand("show", "Show one run of the history");
  auto options = std::make_shared<ShowOptions>();
  app->add_option("RUN", options->run, fmt::format("Run: {}", kRunHelp))
      ->type_name("")
      ->capture_default_str();
  add_db_option(*app, options->db);
  add_json_option(*app, options->json);
  app->footer("Example:\n  tessera bench show latest");
  return {app, [options] { return run_show(*options); }};
}

}  // namespace tessera::cli
