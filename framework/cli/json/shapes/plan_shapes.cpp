// SPDX-License-Identifier: Apache-2.0
//
// Output of plan: the plan lock file itself, and what two of them decide
// differently.

#include "framework/cli/json/output_shapes.hpp"

namespace tessera::cli {
namespace {

Field phase(const char* name) {
  return object(
      name, "",
      {list("parts", "rows of the output, by device",
            {text("device"), count("n_begin"), count("n_end"), text("scheme"),
             text("kernel"), text("layout"), number("predicted_ns")})});
}

Field layers() {
  return list(
      "layers", "segments and their linears, in execution order",
      {text("name"), text("op", "`segment` or `linear`"), text("segment"),
       phase("prefill"), phase("decode"), number("kl", "its share of the KL"),
       number("margin_ns", "what the second best would cost more").or_null(),
       text("second", "device and scheme of the second best"), text("reason"),
       list_of("refusals", "devices that cannot run it, and why", text(""))});
}

Field contingencies() {
  return list("contingencies", "the plan where a device is lost",
              {text("lost"), text("failure", "why there is none"),
               number("objective_value"), number("gap"),
               list("layers", "that change: prefill, then decode",
                    {text("name"), list_of("devices", "", text("")),
                     list_of("schemes", "", text(""))})});
}

std::vector<Field> plan_fields() {
  return {text("format", "`tessera plan`"),
          count("version"),
          text("objective", "`latency`, `throughput`, `energy`, `memory`"),
          object("workload", "",
                 {count("prompt"), count("generate"), count("batch")}),
          flag("split_phases", "prefill and decode may differ"),
          text("base_scheme"),
          text("kv"),
          number("objective_value"),
          number("lower_bound", "no plan can be better, proven"),
          number("lower_bound_ns", "the same, if the objective is a time")
              .or_null(),
          number("gap", "the share by which the plan may miss the bound"),
          map_of("predicted_ns", "by clock", number("")),
          map_of("prefill_ns", "by clock", number("")),
          map_of("decode_ns", "by clock", number("")),
          number("energy_nj"),
          number("kl_predicted", "nats"),
          number("kl_limit", "as asked").or_null(),
          number("kl_measured", "null: not measured").or_null(),
          list_of("kl_measured_ci95", "low and high", number("")).or_null(),
          text("in_place",
               "why it is not the one that costs least by what is predicted; "
               "empty: it is"),
          map_of("memory", "bytes by pool", count("")),
          map_of("memory_limits", "bytes by pool", count("")),
          object("fingerprints", "",
                 {text("model"), map_of("devices", "by name", text("")),
                  text("measurements")}),
          layers(),
          contingencies()};
}

}  // namespace

std::vector<OutputShape> plan_shapes() {
  return {
      {"plan", OutputForm::kObject,
       "The plan lock file, which [planner.md](planner.md) describes; the "
       "same inputs give the same bytes.",
       plan_fields()},
      {"plan show", OutputForm::kObject, "The plan lock file.", plan_fields()},
      {"plan diff",
       OutputForm::kObject,
       "",
       {text("before", "file"), text("after", "file"),
        list_of("changes", "sentences, one for each difference", text(""))}}};
}

}  // namespace tessera::cli
