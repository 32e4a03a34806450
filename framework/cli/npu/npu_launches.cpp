// SPDX-License-Identifier: Apache-2.0
//
// One text of the model, through the oracle, then op by op through the device.

#include "framework/cli/npu/npu_launches.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "framework/cli/console.hpp"
#include "framework/cli/eval/eval_texts.hpp"
#include "framework/cli/json_output.hpp"
#include "framework/cli/loaded_model.hpp"
#include "framework/cli/target_options.hpp"
#include "framework/eval/launches.hpp"
#include "framework/host/device/numerics.hpp"
#include "framework/model/build_graph.hpp"
#include "framework/runtime/fit_scheme.hpp"

namespace tessera::cli {
namespace {

struct LaunchesOptions {
  TargetOptions target;
  EvalTextOptions text;
  std::string phase = "prefill";
  bool json = false;
};

Result<std::vector<LaunchResult>> check(const LaunchesOptions& options) {
  TSR_ASSIGN_OR_RETURN(const LoadedModel loaded,
                       load_model(options.target.model));
  TSR_ASSIGN_OR_RETURN(const std::shared_ptr<Device> device,
                       open_device(options.target));
  TSR_ASSIGN_OR_RETURN(const DeviceNumerics numerics, numerics_of(*device));
  TSR_ASSIGN_OR_RETURN(Scheme scheme,
                       choose_scheme(*loaded.model, options.target.scheme));
  scheme = with_kv(fit_scheme(std::move(scheme), *device), options.target.kv);
  TSR_ASSIGN_OR_RETURN(const EvalTexts texts,
                       read_texts(*loaded.model, options.text));
  const std::vector<int32_t>& tokens = texts.documents.front();
  TSR_ASSIGN_OR_RETURN(
      Graph graph,
      build_graph(loaded.model->config, static_cast<uint32_t>(tokens.size())));
  mark_stored(loaded.source, graph);
  const Plan plan = uniform_plan(graph, device->name(), scheme);
  TSR_ASSIGN_OR_RETURN(
      const Oracle oracle,
      Oracle::create(graph, plan, loaded.source,
                     {reference::SumOrder::kDouble, numerics}));
  const uint32_t phase = options.phase == "decode" ? TSR_DECODE : TSR_PREFILL;
  return check_launches({graph, plan, loaded.source, device, tokens, phase},
                        oracle);
}

void print_launches(const std::vector<LaunchResult>& results) {
  std::string text = fmt::format("{:44} {:>9} {:>9} {:>11}\n", "launch",
                                 "values", "different", "of bound");
  for (const LaunchResult& result : results) {
    text += fmt::format(
        "{:44} {:9} {:9} {:>11}{}\n", result.name, result.values,
        result.different,
        result.is_exact ? "exact" : fmt::format("{:.3f}", result.worst),
        result.agrees() ? "" : "  WRONG");
  }
  write_out(text);
}

Json to_json(const std::vector<LaunchResult>& results) {
  Json list = Json::array();
  for (const LaunchResult& result : results) {
    Json row;
    row["name"] = result.name;
    row["values"] = result.values;
    row["different"] = result.different;
    row["exact"] = result.is_exact;
    row["worst_of_bound"] = result.is_exact ? Json() : Json(result.worst);
    row["agrees"] = result.agrees();
    list.push_back(std::move(row));
  }
  return list;
}

Status run_launches(const LaunchesOptions& options) {
  TSR_ASSIGN_OR_RETURN(const std::vector<LaunchResult> results, check(options));
  if (options.json) {
    TSR_RETURN_IF_ERROR(print_json("npu launches", to_json(results)));
  } else {
    print_launches(results);
  }
  const auto wrong =
      std::count_if(results.begin(), results.end(),
                    [](const LaunchResult& one) { return !one.agrees(); });
  if (wrong == 0) return {};
  return {TSR_FAILED_PRECONDITION,
          fmt::format("{} of {} launches are not the oracle's", wrong,
                      results.size())};
}

}  // namespace

Command add_npu_launches_command(CLI::App& npu) {
  CLI::App* app = npu.add_subcommand(
      "launches",
      "Hold each launch of a model, fed the oracle's inputs, to "
      "the oracle");
  auto options = std::make_shared<LaunchesOptions>();
  options->target.device = "npu_sim:910b";
  add_target_options(*app, options->target);
  add_text_options(*app, options->text);
  app->add_option("--phase", options->phase,
                  "How the tokens are fed: prefill or decode")
      ->check(CLI::IsMember({"prefill", "decode"}))
      ->type_name("PHASE")
      ->capture_default_str();
  add_json_option(*app, options->json);
  app->footer(
      "Example:\n  tessera npu launches --device npu_sim:310p --scheme "
      "w8a8_dynamic --limit 16");
  return {app, [options] { return run_launches(*options); }};
}

}  // namespace tessera::cli
