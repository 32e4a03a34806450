// SPDX-License-Identifier: Apache-2.0

#include "framework/cli/bench/model_options.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <utility>

#include "framework/cli/random_model.hpp"
#include "framework/cli/target_options.hpp"
#include "framework/runtime/fit_scheme.hpp"

namespace tessera::cli {
namespace {

std::vector<std::string> device_names(const ModelOptions& options,
                                      const Registry& registry) {
  if (!options.devices.empty()) return options.devices;
  std::vector<std::string> names;
  if (!options.plans.empty()) return names;
  for (const DeviceEntry& entry : registry.devices()) {
    if (entry.status.ok() && entry.facts.info.clock == TSR_CLOCK_WALL) {
      names.push_back(entry.name);
    }
  }
  return names;
}

void add_load_options(CLI::App& app, ModelOptions& options) {
  app.add_option("--batch", options.batches,
                 "Sequences at once, 1 to 32 say; several with commas")
      ->delimiter(',')
      ->check(count_validator(1, 4096))
      ->type_name("N")
      ->capture_default_str();
  app.add_option("--context", options.contexts,
                 "Prompt tokens of each sequence; several with commas")
      ->delimiter(',')
      ->check(count_validator(1, 1U << 24))
      ->type_name("N")
      ->capture_default_str();
  app.add_option("-n,--tokens", options.tokens,
                 "Tokens decoded after the prompt")
      ->check(count_validator(1, 1U << 20))
      ->type_name("N")
      ->capture_default_str();
  app.add_option("--repetitions", options.repetitions,
                 "Runs of each, all devices and schemes taken in turn")
      ->check(count_validator(1, 10000))
      ->type_name("N")
      ->capture_default_str();
  app.add_flag("--breakdown", options.breakdown,
               "Profile one more run, by op and by layer");
}

}  // namespace

void add_bench_model_options(CLI::App& app, ModelOptions& options) {
  add_model_option(app, options.model);
  app.add_option("--device", options.devices,
                 "Devices; left out: all that are not simulated, unless "
                 "--plan is given; several with commas")
      ->delimiter(',')
      ->type_name("DEVICE");
  app.add_option("--scheme", options.schemes,
                 "Precisions; left out: that of the checkpoint; several with "
                 "commas")
      ->delimiter(',')
      ->check(scheme_validator())
      ->type_name("SCHEME");
  app.add_option("--plan", options.plans,
                 "Plan lock files of `tessera plan`; several with commas")
      ->delimiter(',')
      ->type_name("FILE");
  add_preset_option(app, options.preset)->excludes("--plan");
  add_load_options(app, options);
  add_threads_option(app, options.threads);
  add_history_options(app, options.history);
  app.add_flag("--isolate", options.isolate, "Run plugins in a child process");
  add_json_option(app, options.json);
}

std::string command_of(const ModelOptions& options, const std::string& what) {
  const ModelOptions defaults;
  std::string command = "tessera bench model";
  if (!options.model.empty()) command += " " + options.model;
  if (!options.preset.empty()) command += " --preset " + options.preset;
  command += fmt::format(" {} --batch {} --context {} --tokens {}", what,
                         fmt::join(options.batches, ","),
                         fmt::join(options.contexts, ","), options.tokens);
  if (options.repetitions != defaults.repetitions) {
    command += fmt::format(" --repetitions {}", options.repetitions);
  }
  if (options.threads > 0)
    command += fmt::format(" --threads {}", options.threads);
  if (options.breakdown) command += " --breakdown";
  if (options.isolate) command += " --isolate";
  return command;
}

std::string case_of(const ModelOptions& options, const Setting& setting,
                    const bench::ModelLoad& load) {
  ModelOptions usual;
  usual.model = options.model;
  usual.preset = options.preset;
  usual.threads = options.threads;
  usual.isolate = options.isolate;
  usual.tokens = load.tokens;
  usual.batches = {load.batch};
  usual.contexts = {load.context};
  return command_of(usual, setting.what)
      .substr(std::string_view("tessera bench model ").size());
}

Json settings_json(const ModelOptions& options) {
  return {{"model", options.preset.empty() ? options.model : options.preset},
          {"tokens", options.tokens},
          {"repetitions", options.repetitions},
          {"threads", options.threads},
          {"isolate", options.isolate}};
}

Result<std::vector<Setting>> find_settings(const ModelOptions& options,
                                           const LoadedModel& model) {
  std::vector<Setting> settings;
  const Registry registry =
      discover_plugins(options.threads, options.isolate, options.devices);
  std::vector<std::string> schemes = options.schemes;
  if (schemes.empty()) schemes = {""};
  for (const std::string& name : device_names(options, registry)) {
    TSR_ASSIGN_OR_RETURN(const std::shared_ptr<Device> device,
                         registry.open(name).annotate("--device"));
    for (const std::string& scheme : schemes) {
      TSR_ASSIGN_OR_RETURN(Scheme chosen, choose_scheme(*model.model, scheme));
      Setting setting;
      setting.device = device;
      setting.on_processor = is_processor(*device, registry);
      setting.what = fmt::format("--device {} --scheme {}", name, chosen.name);
      setting.command = command_of(options, setting.what);
      setting.scheme = fit_scheme(std::move(chosen), *device);
      settings.push_back(std::move(setting));
    }
  }
  for (const std::string& path : options.plans) {
    Setting setting;
    TSR_ASSIGN_OR_RETURN(
        LoadedPlan plan,
        load_plan(path, model, options.threads, options.isolate));
    if (plan.has_simulated() && !plan.is_simulated()) {
      return Status(TSR_INVALID_ARGUMENT,
                    path +
                        ": its devices run on two clocks, which have no "
                        "common time; `tessera plan --verify` splits them");
    }
    setting.plan = std::move(plan);
    setting.what = "--plan " + path;
    setting.command = command_of(options, setting.what);
    settings.push_back(std::move(setting));
  }
  if (!settings.empty()) return settings;
  return Status(TSR_NOT_FOUND,
                "no device is ready; `tessera devices` says why");
}

}  // namespace tessera::cli
