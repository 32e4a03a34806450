// SPDX-License-Identifier: Apache-2.0
//
// Output of conform, new-plugin, npu, replay, report and serve.

#include "framework/cli/json/output_shapes.hpp"

namespace tessera::cli {
namespace {

OutputShape conform_shape() {
  const Field levels =
      list("levels", "",
           {count("level"), count("passed"),
            count("failed", "a declared failure that passes counts"),
            count("crashed"), count("hung"), count("unsupported"),
            count("expected_failure"), count("total")});
  return {
      "conform",
      OutputForm::kObject,
      "",
      {text("plugin"), text("version"), text("library", "path"), text("sha256"),
       text("device"), text("hardware", "as the device names it"),
       text("driver"), count("seed"), flag("quick"), number("seconds"),
       count("left_out", "cases for which `--budget` had no time"),
       flag("passed", "something was executed and nothing failed"), levels,
       map_of("figures",
              "level 3, by case and name; names ending in `_ns` are times of "
              "one step",
              map_of("", "", number("").or_null())),
       list("failures", "",
            {text("case"), text("verdict"), text("reason"),
             text("rerun", "the command that runs the case alone")}),
       list("unsupported", "kinds of op, and expected failures",
            {text("case"), text("verdict"), text("reason")})}};
}

OutputShape replay_shape() {
  return {"replay",
          OutputForm::kObject,
          "",
          {text("file", "the recording"),
           text("library", "what it was replayed on"),
           text("plugin", "whose calls were recorded"), text("build_id"),
           flag("complete",
                "the recorded program came to its end, or the recording to "
                "its limit"),
           count("calls"), count("compared_bytes"), count("differences"),
           list_of("first_differences", "twenty at most", text("")),
           text("ended_in",
                "the call in which the library ended the process or hung; "
                "empty if it did not"),
           text("end", "how"),
           text("survived",
                "what the last call answers, if the recorded program ended in "
                "it")}};
}

OutputShape validate_shape() {
  const Field rows = list(
      "rows", "",
      {text("id"), text("kind"), text("what"), text("profile"), text("metric"),
       text("source"), number("value"),
       list_of("target", "low and high", number("")), number("tolerance"),
       number("error"),
       number("left_out_error", "with the row left out of the fit").or_null(),
       flag("within")});
  return {"npu validate",
          OutputForm::kObject,
          "",
          {flag("passed", "every row is within its tolerance"),
           count("fitted_parameters"),
           map_of("mape", "by kind of row", number("").or_null()),
           map_of("count", "by kind of row", count("")), rows}};
}

OutputShape speed_shape() {
  return {"npu speed",
          OutputForm::kObject,
          "",
          {text("clock"),
           list("rows", "one for each profile",
                {text("profile"), number("estimate_us"),
                 number("estimate_median_us"), number("remembered_estimate_us"),
                 number("qwen3_8b_decode_step_s"),
                 number("qwen3_8b_decode_step_simulated_ms"),
                 number("gemm_8192_cubed_f16_s")})}};
}

OutputShape launches_shape() {
  return {"npu launches",
          OutputForm::kList,
          "",
          {text("name"), count("values"), count("different"),
           flag("exact", "it must have the oracle's bits"),
           number("worst_of_bound",
                  "of a launch that is not exact, the largest error over its "
                  "bound")
               .or_null(),
           flag("agrees")}};
}

OutputShape report_shape() {
  return {"report",
          OutputForm::kObject,
          "",
          {text("output", "the page"), count("bytes"),
           flag("plots", "this build has its plotting library"),
           list("documents", "what it took",
                {text("name"),
                 text("kind",
                      "`bench ops`, `bench model`, `comparison`, `plan`, "
                      "`quantization`, `trace`, `conformance`, "
                      "`devices`")})}};
}

}  // namespace

std::vector<OutputShape> kit_shapes() {
  return {report_shape(),
          {"report --list-plots",
           OutputForm::kList,
           "",
           {text("name", "for `--plot`"), text("title")}},
          {"report --plot",
           OutputForm::kList,
           "One, or with `--plot all` every one.",
           {text("name"), text("title"), text("output", "the file")}},
          conform_shape(),
          {"conform --list", OutputForm::kTexts, "The ids of all cases.", {}},
          {"new-plugin",
           OutputForm::kObject,
           "",
           {text("name"), text("folder"),
            list_of("files", "what was written, relative to the folder",
                    text(""))}},
          replay_shape(),
          validate_shape(),
          speed_shape(),
          launches_shape(),
          {"serve",
           OutputForm::kObject,
           "Printed once it listens. What it answers is OpenAI's.",
           {text("url"), text("model"), count("max_context")}}};
}

}  // namespace tessera::cli
