// SPDX-License-Identifier: Apache-2.0
//
// tessera bench merge: histories of several machines in one.

#include <fmt/format.h>

#include <memory>
#include <string>
#include <vector>

#include "framework/cli/bench/bench.hpp"
#include "framework/cli/bench/history/kept_run.hpp"
#include "framework/cli/console.hpp"
#include "framework/cli/json_output.hpp"
#include "framework/cli/target_options.hpp"

namespace tessera::cli {
namespace {

struct MergeOptions {
  std::vector<std::string> files;
  std::string db;
  bool json = false;
};

Status run_merge(const MergeOptions& options) {
  TSR_ASSIGN_OR_RETURN(const std::string path, history_path(options.db));
  TSR_ASSIGN_OR_RETURN(
      bench::History history,
      bench::History::open(path, Database::Access::kReadWrite));
  Json report = {{"history", path}, {"files", Json::array()}};
  std::string text;
  for (const std::string& file : options.files) {
    TSR_ASSIGN_OR_RETURN(
        bench::History other,
        bench::History::open(file, Database::Access::kReadOnly));
    TSR_ASSIGN_OR_RETURN(const std::vector<bench::RunHead> there, other.list());
    TSR_ASSIGN_OR_RETURN(const uint64_t added, history.merge(other));
    report["files"].push_back(
        {{"file", file}, {"runs", there.size()}, {"added", added}});
    text +=
        fmt::format("{}: {} of {} runs were new\n", file, added, there.size());
  }
  if (options.json) {
    return print_json("bench merge", report);
  }
  write_out(text);
  return {};
}

}  // namespace

Command add_bench_merge_command(CLI::App& bench) {
  CLI::App* app = bench.add_subcommand(
      "merge", "Add the runs of other histories, each once");
  auto options = std::make_shared<MergeOptions>();
  app->add_option("FILE", options->files, "History files of other machines")
      ->required()
      ->type_name("");
  add_db_option(*app, options->db);
  add_json_option(*app, options->json);
  app->footer(
      "Example:\n  tessera bench merge laptop.db server.db --db all.db");
  return {app, [options] { return run_merge(*options); }};
}

}  // namespace tessera::cli
