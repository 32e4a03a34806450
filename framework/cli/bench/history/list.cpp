// SPDX-License-Identifier: Apache-2.0
//
// tessera bench list: the runs of the history.

#include <fmt/format.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "framework/cli/bench/bench.hpp"
#include "framework/cli/bench/history/chosen_run.hpp"
#include "framework/cli/bench/history/kept_run.hpp"
#include "framework/cli/bench/history/run_json.hpp"
#include "framework/cli/bench/ops_table.hpp"
#include "framework/cli/console.hpp"
#include "framework/cli/table.hpp"
#include "framework/cli/target_options.hpp"

namespace tessera::cli {
namespace {

struct ListOptions {
  std::string db;
  bool json = false;
};

constexpr size_t kShortHash = 8;

std::string list_text(const std::vector<bench::RunHead>& heads) {
  Table table({{"run", Align::kRight},
               {"began (UTC)"},
               {"kind"},
               {"rows", Align::kRight},
               {"machine"},
               {"commit"},
               {"uuid"}});
  std::map<std::string, std::string> processors;
  for (const bench::RunHead& head : heads) {
    const std::string machine = head.machine.substr(0, kShortHash);
    processors[machine] = head.processor;
    table.add_row({std::to_string(head.id), time_text(head.began_s), head.kind,
                   std::to_string(head.num_rows), machine, head.commit,
                   head.uuid.substr(0, kShortHash)});
  }
  std::string text = table.text();
  for (const auto& [machine, processor] : processors) {
    text += wrapped(fmt::format("machine {}: {}", machine, processor));
  }
  return text;
}

Status run_list(const ListOptions& options) {
  TSR_ASSIGN_OR_RETURN(bench::History history, open_history(options.db));
  TSR_ASSIGN_OR_RETURN(const std::vector<bench::RunHead> heads, history.list());
  if (options.json) {
    Json list = Json::array();
    for (const bench::RunHead& head : heads) list.push_back(head_json(head));
    return print_json("bench list", list);
  }
  write_out(heads.empty() ? history.path() + ": no runs\n" : list_text(heads));
  return {};
}

}  // namespace

Command add_bench_list_command(CLI::App& bench) {
  CLI::App* app = bench.add_subcommand("list", "Show the runs of the history");
  auto options = std::make_shared<ListOptions>();
  add_db_option(*app, options->db);
  add_json_option(*app, options->json);
  app->footer("Example:\n  tessera bench list");
  return {app, [options] { return run_list(*options); }};
}

}  // namespace tessera::cli
