// SPDX-License-Identifier: Apache-2.0
//
// tessera bench diff: what became slower from one run to another, beyond
// chance.

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "framework/bench/history/compare_runs.hpp"
#include "framework/cli/bench/bench.hpp"
#include "framework/cli/bench/history/chosen_run.hpp"
#include "framework/cli/bench/history/kept_run.hpp"
#include "framework/cli/bench/history/run_json.hpp"
#include "framework/cli/bench/ops_table.hpp"
#include "framework/cli/console.hpp"
#include "framework/cli/figures.hpp"
#include "framework/cli/table.hpp"
#include "framework/cli/target_options.hpp"

namespace tessera::cli {
namespace {

using bench::CaseChange;
using bench::Comparison;
using bench::Verdict;

struct DiffOptions {
  std::string before;
  std::string after;
  bench::CompareOptions compare;
  std::string db;
  bool all = false;
  bool json = false;
};

size_t count_of(const Comparison& comparison, Verdict verdict) {
  return static_cast<size_t>(std::count_if(
      comparison.changes.begin(), comparison.changes.end(),
      [&](const CaseChange& change) { return change.verdict == verdict; }));
}

void add_change(const CaseChange& change, size_t number, Table& table) {
  const bool has_figures = change.after_ns > 0.0;
  table.add_row({std::to_string(number), bench::verdict_name(change.verdict),
                 duration_text(change.before_ns),
                 has_figures ? duration_text(change.after_ns) : "-",
                 has_figures
                     ? fmt::format("{:+.1f} %", 100.0 * (change.ratio() - 1.0))
                     : "-",
                 has_figures ? fmt::format("{:.1e}", change.p) : "-",
                 change.metric == "op" ? "" : change.metric});
}

std::string changes_text(const Comparison& comparison, bool all) {
  Table table({{"", Align::kRight},
               {"verdict"},
               {"before", Align::kRight},
               {"after", Align::kRight},
               {"change", Align::kRight},
               {"p", Align::kRight},
               {""}});
  std::string commands;
  size_t number = 0;
  for (const CaseChange& change : comparison.changes) {
    if (change.verdict == Verdict::kSame && !all) continue;
    add_change(change, ++number, table);
    commands += wrapped(fmt::format("({}) {}", number, change.command), " \\");
    if (!change.reason.empty()) commands += wrapped("    " + change.reason);
  }
  return number == 0 ? "" : table.text() + commands + "\n";
}

std::string summary_text(const Comparison& comparison) {
  std::string text = fmt::format(
      "{} cases: {} slower, {} broken, {} faster, {} the same",
      comparison.changes.size(), count_of(comparison, Verdict::kSlower),
      count_of(comparison, Verdict::kBroken),
      count_of(comparison, Verdict::kFaster),
      count_of(comparison, Verdict::kSame));
  if (const size_t unclear = count_of(comparison, Verdict::kUnclear)) {
    text += fmt::format(
        "\n{} unclear: too few samples for so many cases; more with "
        "--repetitions",
        unclear);
  }
  if (comparison.only_before + comparison.only_after > 0) {
    text += fmt::format(
        "\nleft out: {} only in the first run, {} only in the "
        "second",
        comparison.only_before, comparison.only_after);
  }
  return text + "\n";
}

// What may explain a change, apart from the code.
std::string notes_text(const bench::RunRecord& before,
                       const bench::RunRecord& after) {
  std::string text;
  if (!before.head.machine.empty() && !after.head.machine.empty() &&
      before.head.machine != after.head.machine) {
    text += "the runs are of different machines\n";
  }
  for (const bench::RunDevice& old : before.devices) {
    for (const bench::RunDevice& now : after.devices) {
      if (old.name != now.name) continue;
      if (old.driver != now.driver) {
        text += wrapped(fmt::format("{}: driver {}, then {}", old.name,
                                    old.driver, now.driver));
      }
      if (old.plugin_sha256 != now.plugin_sha256) {
        text += fmt::format("{}: another build of its plugin\n", old.name);
      }
    }
  }
  return text;
}

Json to_json(const bench::RunRecord& before, const bench::RunRecord& after,
             const Comparison& comparison) {
  Json changes = Json::array();
  for (const CaseChange& change : comparison.changes) {
    changes.push_back(
        {{"case", change.name},
         {"metric", change.metric},
         {"verdict", bench::verdict_name(change.verdict)},
         {"before_ns", change.before_ns},
         {"after_ns", change.after_ns > 0.0 ? Json(change.after_ns) : Json()},
         {"ratio", change.after_ns > 0.0 ? Json(change.ratio()) : Json()},
         {"p", change.p},
         {"reason", change.reason},
         {"command", change.command}});
  }
  return {{"before", head_json(before.head)},
          {"after", head_json(after.head)},
          {"slower", count_of(comparison, Verdict::kSlower)},
          {"broken", count_of(comparison, Verdict::kBroken)},
          {"faster", count_of(comparison, Verdict::kFaster)},
          {"same", count_of(comparison, Verdict::kSame)},
          {"unclear", count_of(comparison, Verdict::kUnclear)},
          {"only_before", comparison.only_before},
          {"only_after", comparison.only_after},
          {"changes", std::move(changes)}};
}

Status verdict_of(const Comparison& comparison) {
  const size_t slower = count_of(comparison, Verdict::kSlower);
  const size_t broken = count_of(comparison, Verdict::kBroken);
  if (slower + broken == 0) return {};
  std::string what;
  if (slower > 0) what = fmt::format("{} became slower", slower);
  if (broken > 0) {
    what += fmt::format("{}{} no longer work", slower > 0 ? ", " : "", broken);
  }
  return {TSR_FAILED_PRECONDITION,
          fmt::format("of {} cases {}", comparison.changes.size(), what)};
}

Status run_diff(const DiffOptions& options) {
  TSR_ASSIGN_OR_RETURN(const bench::RunRecord before,
                       load_run(options.before, options.db));
  TSR_ASSIGN_OR_RETURN(const bench::RunRecord after,
                       load_run(options.after, options.db));
  const Comparison comparison =
      bench::compare_runs(before.rows, after.rows, options.compare);
  if (comparison.changes.empty()) {
    return {TSR_INVALID_ARGUMENT,
            fmt::format("{} and {} have no case in common",
                        run_title(before.head), run_title(after.head))};
  }
  if (options.json) {
    TSR_RETURN_IF_ERROR(
        print_json("bench diff", to_json(before, after, comparison)));
  } else {
    write_out(fmt::format("{}, then {}\n\n", run_title(before.head),
                          run_title(after.head)) +
              changes_text(comparison, options.all) + summary_text(comparison) +
              notes_text(before, after));
  }
  return verdict_of(comparison);
}

}  // namespace

Command add_bench_diff_command(CLI::App& bench) {
  CLI::App* app = bench.add_subcommand(
      "diff", "Tell what became slower from one run to another");
  auto options = std::make_shared<DiffOptions>();
  app->add_option("A", options->before, fmt::format("First run: {}", kRunHelp))
      ->required()
      ->type_name("");
  app->add_option("B", options->after, "Second run, likewise")
      ->required()
      ->type_name("");
  app->add_option("--alpha", options->compare.alpha,
                  "Chance that any case is called changed where none is")
      ->check(share_validator())
      ->type_name("P")
      ->capture_default_str();
  app->add_option("--min-change", options->compare.min_change,
                  "Share by which medians, and the fastest tenths of the "
                  "samples, must differ to count")
      ->check(not_negative_validator())
      ->type_name("X")
      ->capture_default_str();
  app->add_flag("--all", options->all, "Show the cases that are the same too");
  add_db_option(*app, options->db);
  add_json_option(*app, options->json);
  app->footer(
      "A Mann-Whitney test of each case's samples, corrected for their number "
      "(Holm).\nExits 1 if a case became slower, or has no figures any "
      "more.\n\n"
      "Examples:\n"
      "  tessera bench diff latest~1 latest\n"
      "  tessera bench diff before.json after.json --min-change 0.05");
  return {app, [options] { return run_diff(*options); }};
}

}  // namespace tessera::cli
