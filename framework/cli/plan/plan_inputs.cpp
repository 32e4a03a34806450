// SPDX-License-Identifier: Apache-2.0

#include "framework/cli/plan/plan_inputs.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <utility>

#include "framework/base/mapped_file.hpp"
#include "framework/cli/console.hpp"
#include "framework/cli/eval/eval_texts.hpp"
#include "framework/cli/plan/loaded_plan.hpp"
#include "framework/cli/plan/refine_costs.hpp"
#include "framework/cli/progress.hpp"
#include "framework/cli/random_model.hpp"
#include "framework/cli/target_options.hpp"
#include "framework/host/trust/certificate.hpp"
#include "framework/model/build_graph.hpp"
#include "framework/planner/problem/divide_cells.hpp"
#include "framework/planner/problem/problem_file.hpp"
#include "framework/runtime/fit_scheme.hpp"
#include "framework/tuning/plan/plan_problem.hpp"
#include "framework/tuning/plan/plan_sensitivity.hpp"

namespace tessera::cli {
namespace {

// What devices are asked for unless --schemes says: each refuses what it lacks.
constexpr const char* kUsualSchemes[] = {"w8a8_dynamic", "w8a16",    "q8_0",
                                         "w4a16_g32",    "w4a8_g32", "q4_0"};

Result<std::vector<Scheme>> schemes_of(const PlanCommandOptions& options,
                                       const std::string& base) {
  std::vector<std::string> names = options.schemes;
  if (names.empty()) {
    names.assign(std::begin(kUsualSchemes), std::end(kUsualSchemes));
  }
  if (std::find(names.begin(), names.end(), base) == names.end()) {
    names.insert(names.begin(), base);
  }
  std::vector<Scheme> schemes;
  for (const std::string& name : names) {
    TSR_ASSIGN_OR_RETURN(Scheme scheme,
                         find_scheme(name).annotate("--schemes"));
    schemes.push_back(std::move(scheme));
  }
  return schemes;
}

// Lengths that the model can hold.
Status check_workload(const planner::Workload& workload,
                      const ModelConfig& config) {
  const uint64_t context = uint64_t{workload.prompt} + workload.generate;
  if (context <= config.max_positions) return {};
  return {
      TSR_INVALID_ARGUMENT,
      fmt::format("--prompt {} and --generate {}: the model goes up to {}",
                  workload.prompt, workload.generate, config.max_positions)};
}

// The first device whose time is real: it runs the calibration text.
const std::shared_ptr<Device>& calibrator(
    const std::vector<std::shared_ptr<Device>>& devices) {
  const auto real = std::find_if(
      devices.begin(), devices.end(), [](const std::shared_ptr<Device>& one) {
        return one->info().clock != TSR_CLOCK_SIMULATED;
      });
  return real == devices.end() ? devices.front() : *real;
}

Status add_sensitivity(const PlanCommandOptions& options,
                       const std::vector<std::shared_ptr<Device>>& devices,
                       const std::vector<Scheme>& schemes, PlanInputs& inputs) {
  const LoadedModel& model = *inputs.model;
  EvalTextOptions text_options;
  text_options.text = model.model->folder + "/text/calibrate.txt";
  text_options.limit = options.sensitivity_tokens;
  TSR_ASSIGN_OR_RETURN(const EvalTexts texts,
                       read_texts(*model.model, text_options));
  TSR_ASSIGN_OR_RETURN(Graph graph,
                       build_graph(model.model->config, texts.longest));
  Progress progress("sensitivity");
  const SensitivityInputs asked{
      graph,
      model.source,
      calibrator(devices),
      inputs.base,
      schemes,
      texts.documents,
      texts.longest,
      options.profile_seconds,
      [&progress](double share) { progress.update(share); }};
  TSR_ASSIGN_OR_RETURN(const SensitivityReport report,
                       fill_sensitivity(asked, inputs.problem));
  write_err(fmt::format(
      "sensitivity: {} measured on {} tokens, {} by the error of their "
      "weights; interaction {:.3g}\n",
      report.measured, texts.num_positions, report.shared, report.interaction));
  return {};
}

// Where times are kept; nothing if nothing is measured, or there is no folder.
Result<std::optional<CostStore>> open_costs(const PlanCommandOptions& options) {
  std::optional<CostStore> store;
  std::string path = options.costs;
  if (path.empty()) {
    const std::string folder = state_folder();
    if (!folder.empty()) path = folder + "/costs.db";
  }
  if (path.empty() || options.profile_seconds <= 0.0) return store;
  TSR_ASSIGN_OR_RETURN(store, CostStore::open(path));
  return store;
}

Status add_costs(const PlanCommandOptions& options,
                 const std::vector<std::shared_ptr<Device>>& devices,
                 const std::vector<Scheme>& schemes, Graph graph,
                 PlanInputs& inputs) {
  inputs.costs = std::make_unique<CostSource>();
  CostSource& costs = *inputs.costs;
  costs.graph = std::move(graph);
  costs.source = inputs.model->source;
  TSR_ASSIGN_OR_RETURN(costs.store, open_costs(options));
  ProbeOptions probe;
  probe.workload = options.workload;
  probe.base = inputs.base;
  probe.repeats = options.profile_seconds > 0.0 ? 5U : 0U;
  probe.threads = options.threads;
  probe.store = costs.store ? &*costs.store : nullptr;
  probe.remeasure = options.remeasure;
  const auto progress = std::make_shared<Progress>("profile");
  costs.inputs.emplace(
      ProblemInputs{costs.graph, costs.source, devices, schemes, probe,
                    [progress](double share) { progress->update(share); }});
  costs.maker.emplace(*costs.inputs);
  const ProbeDepth depth =
      probe.repeats == 0 ? ProbeDepth::kMeasure : ProbeDepth::kEstimate;
  TSR_ASSIGN_OR_RETURN(inputs.problem, costs.maker->make(depth));
  inputs.problem.base_scheme = inputs.base.name;
  inputs.problem.kv = options.kv;
  costs.inputs->on_progress = nullptr;
  return {};
}

Result<PlanInputs> measure_inputs(const PlanCommandOptions& options) {
  PlanInputs inputs;
  TSR_ASSIGN_OR_RETURN(inputs.model, options.preset.empty()
                                         ? load_model(options.model)
                                         : random_model(options.preset));
  const Model& model = *inputs.model->model;
  if (model.totals.weight_format != 0) {
    return Status(TSR_UNIMPLEMENTED,
                  "MODEL is quantized already; a plan chooses precisions, so "
                  "it needs the checkpoint in floats");
  }
  TSR_RETURN_IF_ERROR(check_workload(options.workload, model.config));
  TSR_ASSIGN_OR_RETURN(const Scheme base, choose_scheme(model, options.base));
  TSR_ASSIGN_OR_RETURN(inputs.base, find_base_scheme(base.name, options.kv));
  TSR_ASSIGN_OR_RETURN(const std::vector<Scheme> schemes,
                       schemes_of(options, base.name));
  const Registry registry =
      discover_plugins(options.threads, options.isolate, options.devices);
  std::vector<std::shared_ptr<Device>> devices;
  for (const std::string& name : options.devices) {
    TSR_ASSIGN_OR_RETURN(std::shared_ptr<Device> device,
                         registry.open(name).annotate("--devices"));
    inputs.certificates[device->name()] =
        certificate_text(**registry.find(name));
    inputs.devices[device->name()] = device;
    devices.push_back(std::move(device));
  }
  const uint32_t context = options.workload.prompt + options.workload.generate;
  TSR_ASSIGN_OR_RETURN(Graph graph, build_graph(model.config, context));
  TSR_RETURN_IF_ERROR(
      add_costs(options, devices, schemes, std::move(graph), inputs));
  if (options.max_kl >= 0.0) {
    TSR_RETURN_IF_ERROR(add_sensitivity(options, devices, schemes, inputs));
  }
  return inputs;
}

Status apply_limits(const PlanCommandOptions& options,
                    planner::Problem& problem) {
  if (!options.objective.empty()) {
    TSR_ASSIGN_OR_RETURN(problem.objective,
                         planner::find_objective(options.objective));
  }
  if (options.max_kl >= 0.0) problem.limits.kl = options.max_kl;
  problem.split_phases = problem.split_phases || options.split_phases;
  for (const std::string& text : options.memory) {
    const size_t equals = text.rfind('=');
    const std::string name = text.substr(0, equals);
    const uint32_t device = problem.device_index(name);
    if (equals == std::string::npos || device == UINT32_MAX) {
      return {TSR_INVALID_ARGUMENT,
              "--memory " + text + ": not DEVICE=SIZE of a planned device"};
    }
    TSR_ASSIGN_OR_RETURN(
        problem.pools[problem.devices[device].pool].bytes,
        parse_bytes(text.substr(equals + 1)).annotate("--memory " + text));
  }
  for (const bool forbids : {false, true}) {
    for (const std::string& text : forbids ? options.forbids : options.pins) {
      TSR_ASSIGN_OR_RETURN(planner::Rule rule, parse_rule(text, forbids));
      problem.rules.push_back(std::move(rule));
    }
  }
  return {};
}

// Between devices that keep activations in one type: a divided linear reads and
// writes its segment's.
void offer_divisions(PlanInputs& inputs) {
  const auto type_of = [&](uint32_t device) {
    const auto found = inputs.devices.find(inputs.problem.devices[device].name);
    return fit_scheme(inputs.base, *found->second).act_dtype;
  };
  planner::offer_divided_cells(inputs.problem, [&](uint32_t a, uint32_t b) {
    return type_of(a) == type_of(b);
  });
}

}  // namespace

Result<uint64_t> parse_bytes(const std::string& text) {
  uint64_t value = 0;
  const char* const end = text.data() + text.size();
  const auto [rest, code] = std::from_chars(text.data(), end, value);
  const std::string unit(rest, end);
  uint32_t shift = 64;
  if (unit.empty()) shift = 0;
  if (unit == "K") shift = 10;
  if (unit == "M") shift = 20;
  if (unit == "G") shift = 30;
  if (code != std::errc() || shift == 64 ||
      value > (uint64_t{1} << 52 >> shift)) {
    return Status(TSR_INVALID_ARGUMENT,
                  text + " is not a size: a whole number, with K, M or G");
  }
  return value << shift;
}

Result<planner::Rule> parse_rule(const std::string& text, bool forbids) {
  const size_t equals = text.rfind('=');
  planner::Rule rule;
  rule.forbids = forbids;
  if (equals != std::string::npos) {
    rule.match = text.substr(0, equals);
    const std::string what = text.substr(equals + 1);
    const size_t slash = what.rfind('/');
    rule.device = what.substr(0, slash);
    if (slash != std::string::npos) rule.scheme = what.substr(slash + 1);
  }
  if (rule.match.empty() || (rule.device.empty() && rule.scheme.empty())) {
    return Status(TSR_INVALID_ARGUMENT,
                  text +
                      " is not GLOB=DEVICE, GLOB=DEVICE/SCHEME or "
                      "GLOB=/SCHEME");
  }
  return rule;
}

Result<PlanInputs> make_plan_inputs(const PlanCommandOptions& options) {
  PlanInputs inputs;
  if (options.devices_file.empty()) {
    TSR_ASSIGN_OR_RETURN(inputs, measure_inputs(options));
  } else {
    TSR_ASSIGN_OR_RETURN(const MappedFile file,
                         MappedFile::open(options.devices_file));
    TSR_ASSIGN_OR_RETURN(
        inputs.problem,
        planner::read_problem(
            std::string(reinterpret_cast<const char*>(file.bytes().data()),
                        file.bytes().size()),
            options.devices_file));
  }
  TSR_RETURN_IF_ERROR(apply_limits(options, inputs.problem));
  if (inputs.costs && options.profile_seconds > 0.0) {
    TSR_RETURN_IF_ERROR(refine_costs(options, inputs));
  }
  if (options.split_linears) offer_divisions(inputs);
  return inputs;
}

}  // namespace tessera::cli
