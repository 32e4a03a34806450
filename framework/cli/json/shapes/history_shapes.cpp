// SPDX-License-Identifier: Apache-2.0
//
// Output of bench list, show, diff, export and merge.

#include "framework/cli/json/output_shapes.hpp"

namespace tessera::cli {
namespace {

std::vector<Field> head_fields() {
  return {count("run", "number in this file"),
          text("uuid", "the same in every file"),
          text("kind", "`ops` or `model`"),
          text("began", "UTC: `2026-11-21T17:40:05Z`"),
          text("command", "as it was typed"),
          text("version", "of tessera"),
          text("commit", "of tessera"),
          text("machine", "fingerprint"),
          text("processor"),
          count("num_rows")};
}

std::vector<Field> run_fields() {
  std::vector<Field> fields = head_fields();
  // Of whatever version of tessera wrote the run.
  fields.push_back(any("environment", "as `devices --env` has it"));
  fields.push_back(
      any("settings",
          "`repetitions`, `threads`, `isolate`; of ops `batch_ms cold_mib`, of "
          "models `model tokens`"));
  fields.push_back(
      list("devices", "",
           {text("name"), text("description"), text("driver"),
            text("fingerprint", "of device, driver and plugin"), text("plugin"),
            text("plugin_version"), text("plugin_sha256")}));
  fields.push_back(list_of(
      "rows", "what `bench ops` or `bench model` printed, samples included",
      any("")));
  return fields;
}

OutputShape diff_shape() {
  const Field changes =
      list("changes", "one for each case that both have",
           {text("case"), text("metric", "`op`, `prefill` or `decode`"),
            text("verdict",
                 "`slower`, `broken` (no figures any more), `faster`, `same`, "
                 "`unclear` (too few samples to tell)"),
            number("before_ns", "median"), number("after_ns").or_null(),
            number("ratio").or_null(),
            number("p", "adjusted for the number of cases"),
            text("reason", "of a broken case"), text("command")});
  return {"bench diff",
          OutputForm::kObject,
          "",
          {object("before",
                  "as `bench list`; of a file `run` is 0 and "
                  "`command` its path",
                  head_fields()),
           object("after", "likewise", head_fields()),
           count("slower", "how many cases, as the next four"), count("broken"),
           count("faster"), count("same"), count("unclear"),
           count("only_before", "cases that the other run lacks"),
           count("only_after"), changes}};
}

}  // namespace

std::vector<OutputShape> history_shapes() {
  return {{"bench list", OutputForm::kList, "The runs, oldest first.",
           head_fields()},
          {"bench show", OutputForm::kObject, "", run_fields()},
          {"bench export", OutputForm::kObject,
           "With `--format json`, as `bench show`.", run_fields()},
          diff_shape(),
          {"bench merge",
           OutputForm::kObject,
           "",
           {text("history", "the file that runs were added to"),
            list("files", "",
                 {text("file"), count("runs", "in it"),
                  count("added", "those that were new")})}}};
}

}  // namespace tessera::cli
