// SPDX-License-Identifier: Apache-2.0
//
// tessera plan: every layer gets a device and a precision.

#include <fmt/format.h>
#include <sys/resource.h>

#include <chrono>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "framework/base/atomic_file.hpp"
#include "framework/base/mapped_file.hpp"
#include "framework/cli/command.hpp"
#include "framework/cli/console.hpp"
#include "framework/cli/figures.hpp"
#include "framework/cli/json_output.hpp"
#include "framework/cli/plan/plan_inputs.hpp"
#include "framework/cli/plan/plan_report.hpp"
#include "framework/cli/plan/plan_runs.hpp"
#include "framework/cli/plan/real_runs.hpp"
#include "framework/cli/plan/replan.hpp"
#include "framework/cli/random_model.hpp"
#include "framework/cli/target_options.hpp"
#include "framework/planner/plan_file/plan_picture.hpp"
#include "framework/planner/plan_file/plan_text.hpp"
#include "framework/planner/problem/problem_file.hpp"

namespace tessera::cli {
namespace {

// Good enough to stop: the rest is below what timing can tell.
constexpr double kGap = 0.001;

Result<planner::PlanFile> read_plan_file(const std::string& path) {
  TSR_ASSIGN_OR_RETURN(const MappedFile file, MappedFile::open(path));
  return planner::read_plan(
      std::string(reinterpret_cast<const char*>(file.bytes().data()),
                  file.bytes().size()),
      path);
}

Status write_outputs(const PlanCommandOptions& options,
                     const PlanInputs& inputs, const planner::PlanFile& plan) {
  if (!options.output.empty()) {
    TSR_RETURN_IF_ERROR(
        write_file_atomically(options.output, planner::write_plan(plan)));
  }
  if (!options.save_problem.empty()) {
    TSR_RETURN_IF_ERROR(write_file_atomically(
        options.save_problem, planner::write_problem(inputs.problem)));
  }
  if (!options.svg.empty()) {
    TSR_RETURN_IF_ERROR(write_file_atomically(
        options.svg, planner::draw_plan(plan, plan_headlines(plan))));
  }
  return {};
}

Status print_plan(const char* command, const PlanCommandOptions& options,
                  const planner::Problem& problem,
                  const planner::PlanOptions& planning,
                  const planner::PlanFile& plan) {
  if (options.json) {
    // The bytes of the file, which are held against what is declared.
    const std::string text = planner::write_plan(plan);
    write_out(text);
    return check_json(command, Json::parse(text, nullptr, false));
  }
  if (!options.explain.empty()) {
    TSR_ASSIGN_OR_RETURN(const std::string text,
                         planner::explain_layers(plan, options.explain));
    write_out(text);
    return {};
  }
  write_out(plan_summary(plan));
  if (options.compare_baselines) {
    TSR_ASSIGN_OR_RETURN(const auto baselines,
                         planner::find_baselines(problem, planning.solve));
    write_out("\n" + baselines_text(plan, baselines));
  }
  return {};
}

// Most that this process has held.
uint64_t peak_bytes() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<uint64_t>(usage.ru_maxrss) * 1024;
}

// Devices of a file have none.
std::string certificates_text(const PlanInputs& inputs) {
  std::string text;
  for (const auto& [device, certificate] : inputs.certificates) {
    text += fmt::format("certificate of {}: {}\n", device, certificate);
  }
  return text;
}

// What runs show may change the plan, so whoever asks for the plan alone gets
// it after them.
Status print_and_run(const PlanCommandOptions& options, PlanInputs& inputs,
                     planner::Problem& problem,
                     const planner::PlanOptions& planning,
                     planner::MadePlan& made) {
  const bool plan_alone = options.json || !options.explain.empty();
  const auto print = [&] {
    return print_plan("plan", options, problem, planning, made.file);
  };
  TSR_RETURN_IF_ERROR(write_outputs(options, inputs, made.file));
  if (!plan_alone) {
    TSR_RETURN_IF_ERROR(print());
    write_out(certificates_text(inputs));
  }
  if (options.run || options.challenge > 0) {
    TSR_ASSIGN_OR_RETURN(
        const bool is_new,
        replan_for_runs(options, planning, inputs, problem, made));
    if (is_new) {
      TSR_RETURN_IF_ERROR(write_outputs(options, inputs, made.file));
      if (!plan_alone) TSR_RETURN_IF_ERROR(print());
    }
    TSR_ASSIGN_OR_RETURN(const bool is_other,
                         run_plans(options, inputs, problem, planning, made));
    if (is_other) {
      TSR_RETURN_IF_ERROR(write_outputs(options, inputs, made.file));
      if (!plan_alone) write_out("\n" + plan_summary(made.file));
    }
  }
  return plan_alone ? print() : Status();
}

Status run_plan(const PlanCommandOptions& options) {
  using Clock = std::chrono::steady_clock;
  TSR_ASSIGN_OR_RETURN(PlanInputs inputs, make_plan_inputs(options));
  TSR_RETURN_IF_ERROR(check_runs(options, inputs));
  planner::PlanOptions planning;
  planning.solve = planner::interactive_limits(kGap);
  planner::Problem asked = inputs.problem;
  const Clock::time_point begin = Clock::now();
  const auto since_begin = [begin] {
    return std::chrono::duration<double, std::nano>(Clock::now() - begin)
        .count();
  };
  double first_ns = 0.0;
  planning.solve.on_first_plan = [&](double) {
    if (first_ns == 0.0) first_ns = since_begin();
  };
  Result<planner::MadePlan> made = plan_as_asked(options, planning, inputs);
  if (!made.ok()) return std::move(made).status();
  write_err(fmt::format(
      "{}: {} paths, {} branches, {}, a first plan after {}, {} at most in "
      "memory\n",
      verifies(options, inputs) ? "planned and verified" : "planned",
      made->solution.steps, made->solution.nodes, duration_text(since_begin()),
      duration_text(first_ns), bytes_text(peak_bytes())));
  return print_and_run(options, inputs, asked, planning, *made);
}

Status run_diff(const PlanCommandOptions& options, const std::string& first,
                const std::string& second) {
  TSR_ASSIGN_OR_RETURN(const planner::PlanFile a, read_plan_file(first));
  TSR_ASSIGN_OR_RETURN(const planner::PlanFile b, read_plan_file(second));
  const std::vector<std::string> lines = planner::compare_plans(a, b);
  if (options.json) {
    return print_json(
        "plan diff",
        {{"before", first}, {"after", second}, {"changes", lines}});
  }
  for (const std::string& line : lines) {
    write_out(line + "\n");
  }
  return {};
}

Status run_show(const PlanCommandOptions& options, const std::string& path) {
  TSR_ASSIGN_OR_RETURN(const planner::PlanFile plan, read_plan_file(path));
  if (!options.svg.empty()) {
    TSR_RETURN_IF_ERROR(write_file_atomically(
        options.svg, planner::draw_plan(plan, plan_headlines(plan))));
  }
  return print_plan("plan show", options, {}, {}, plan);
}

void add_goal_options(CLI::App& app, PlanCommandOptions& options) {
  app.add_option("--objective", options.objective,
                 "latency, throughput, energy or memory; left out: latency, or "
                 "what --devices-file asks for")
      ->check(CLI::IsMember({"latency", "throughput", "energy", "memory"}))
      ->type_name("GOAL");
  app.add_option("--prompt", options.workload.prompt, "Tokens of a prompt")
      ->check(count_validator(1, 1U << 20))
      ->type_name("N");
  app.add_option("--generate", options.workload.generate,
                 "Tokens that follow it")
      ->check(count_validator(0, 1U << 20))
      ->type_name("N");
  app.add_option("--batch", options.workload.batch, "Sequences at once")
      ->check(count_validator(1, 64))
      ->type_name("N")
      ->capture_default_str();
  app.add_option("--max-kl", options.max_kl,
                 "Mean KL from the model in its own floats, at most; measured "
                 "on text/select.txt beside the model and scored on report.txt")
      ->check(not_negative_validator())
      ->excludes("--preset")
      ->type_name("X");
  app.add_option("--memory", options.memory,
                 "DEVICE=SIZE that the plan may take, as cpu=4G")
      ->type_name("LIMIT");
  app.add_option("--pin", options.pins,
                 "GLOB=DEVICE/SCHEME that layers must have; either side may be "
                 "left out: layers.0.*=cpu, *.down_proj=/w8a16")
      ->type_name("RULE");
  app.add_option("--forbid", options.forbids, "What layers must not have")
      ->type_name("RULE");
  app.add_flag("--split-phases", options.split_phases,
               "Let prefill and decode run a layer on different devices or in "
               "different precisions, its weights held twice where that pays");
}

void add_input_options(CLI::App& app, PlanCommandOptions& options) {
  add_model_option(app, options.model);
  add_preset_option(app, options.preset);
  app.add_option("--devices", options.devices,
                 "Devices to plan for, with commas; simulated ones only when "
                 "named")
      ->delimiter(',')
      ->type_name("LIST")
      ->capture_default_str();
  app.add_option("--schemes", options.schemes,
                 "Precisions to choose from, with commas; left out: the usual")
      ->delimiter(',')
      ->check(scheme_validator())
      ->type_name("LIST");
  app.add_option("--base", options.base,
                 "Precision of all but the linears of layers; left out: the "
                 "checkpoint's")
      ->check(scheme_validator())
      ->type_name("SCHEME");
  add_kv_option(app, options.kv);
  app.add_option("--profile-seconds", options.profile_seconds,
                 "Time for timing devices, again for timing what only other "
                 "plans use, and again for measuring single linears' "
                 "accuracy; 0: nothing is measured, devices are asked "
                 "for estimates")
      ->check(not_negative_validator())
      ->type_name("S")
      ->capture_default_str();
  app.add_option("--costs", options.costs,
                 "File in which measured times are kept; left out: one for "
                 "this user")
      ->type_name("FILE");
  app.add_flag("--remeasure", options.remeasure,
               "Time all again, whatever is kept");
  app.add_option("--sensitivity-tokens", options.sensitivity_tokens,
                 "Tokens of calibration text for that")
      ->check(count_validator(16))
      ->type_name("N")
      ->capture_default_str();
  app.add_option("--verify-tokens", options.verify_tokens,
                 "Tokens of the texts that a KL limit is held on; 0: trust the "
                 "prediction")
      ->check(count_validator(0))
      ->type_name("N")
      ->capture_default_str();
  add_threads_option(app, options.threads);
  app.add_flag("--isolate", options.isolate, "Run plugins in a child process");
}

// What a problem file has, or is not done with it.
constexpr const char* kMeasuredWith[] = {
    "MODEL",           "--preset",        "--devices",
    "--schemes",       "--base",          "--kv",
    "--prompt",        "--generate",      "--batch",
    "--split-linears", "--costs",         "--profile-seconds",
    "--remeasure",     "--verify-tokens", "--sensitivity-tokens",
    "--threads",       "--isolate"};

void add_problem_options(CLI::App& app, PlanCommandOptions& options) {
  const CLI::Option* const file =
      app.add_option("--devices-file", options.devices_file,
                     "Plan from a file of --save-problem, with no device "
                     "present, in place of all that says what to measure")
          ->type_name("FILE");
  app.add_flag("--split-linears", options.split_linears,
               "Let a linear's rows be divided over two devices that share no "
               "cores");
  app.parse_complete_callback([&app, file] {
    if (file->count() == 0) return;
    for (const char* name : kMeasuredWith) {
      if (app.get_option(name)->count() == 0) continue;
      throw CLI::ExcludesError(name, "--devices-file");
    }
  });
  app.add_option("--save-problem", options.save_problem,
                 "Write what was measured, for --devices-file")
      ->type_name("FILE");
}

void add_output_options(CLI::App& app, PlanCommandOptions& options) {
  app.add_option("-o,--output", options.output, "Write the plan lock file")
      ->type_name("FILE");
  app.add_flag("--compare-baselines", options.compare_baselines,
               "Print what other runtimes' rules would have made");
  app.add_flag("--run", options.run,
               "Run the plan, and with --compare-baselines theirs in turns, "
               "and print what they take beside what was predicted; the "
               "fastest is the plan then, if that is beyond chance");
  app.add_option("--challenge", options.challenge,
                 "Run N random plans, 2 N one step away, all uniform plans and "
                 "all baselines, each in turns with the plan; the fastest is "
                 "the plan then, if that is beyond chance or 3 %")
      ->check(count_validator(0, 10'000))
      ->type_name("N");
  app.add_option("--challenge-seconds", options.challenge_seconds,
                 "Time for that, about; 0: as long as it takes")
      ->check(not_negative_validator())
      ->type_name("S")
      ->capture_default_str();
}

void add_view_options(CLI::App& app, PlanCommandOptions& options) {
  app.add_option("--explain", options.explain,
                 "Say why a layer is where it is; a glob for several")
      ->check([](const std::string& layer) {
        return std::string(layer.empty() ? "names no layer" : "");
      })
      ->type_name("LAYER");
  app.add_option("--svg", options.svg, "Draw the plan")->type_name("FILE");
  add_json_option(app, options.json);
}

}  // namespace

Command add_plan_command(CLI::App& tessera) {
  CLI::App* app = tessera.add_subcommand(
      "plan", "Give every layer a device and a precision, with proof");
  auto options = std::make_shared<PlanCommandOptions>();
  options->workload = {128, 64, 1};
  add_input_options(*app, *options);
  add_goal_options(*app, *options);
  add_problem_options(*app, *options);
  add_output_options(*app, *options);
  add_view_options(*app, *options);
  app->footer(
      "Examples:\n"
      "  tessera plan --devices cpu,npu_sim:310p --max-kl 0.01 -o plan.json\n"
      "  tessera plan diff old.json new.json\n"
      "  tessera plan show plan.json --explain 'layers.0.*'");

  auto paths = std::make_shared<std::vector<std::string>>(3);
  CLI::App* diff =
      app->add_subcommand("diff", "What two plans decide differently");
  diff->add_option("A", (*paths)[0])->required()->type_name("PLAN");
  diff->add_option("B", (*paths)[1])->required()->type_name("PLAN");
  add_json_option(*diff, options->json);
  CLI::App* show = app->add_subcommand("show", "Look at a plan");
  show->add_option("PLAN", (*paths)[2])->required()->type_name("FILE");
  add_view_options(*show, *options);
  return {app, [options, paths, diff, show]() -> Status {
            if (diff->parsed())
              return run_diff(*options, (*paths)[0], (*paths)[1]);
            if (show->parsed()) return run_show(*options, (*paths)[2]);
            return run_plan(*options);
          }};
}

}  // namespace tessera::cli
