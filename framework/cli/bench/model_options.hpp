// SPDX-License-Identifier: Apache-2.0
//
// What `tessera bench model` is asked, and the ways to run a model that follow.

#pragma once

#include <CLI/App.hpp>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "framework/bench/model/model_timing.hpp"
#include "framework/cli/bench/history/kept_run.hpp"
#include "framework/cli/json_output.hpp"
#include "framework/cli/loaded_model.hpp"
#include "framework/cli/plan/loaded_plan.hpp"

namespace tessera::cli {

struct ModelOptions {
  std::string model;
  std::string preset;                // a shape with random weights instead
  std::vector<std::string> devices;  // empty: all that are not simulated
  std::vector<std::string> schemes;  // empty: the checkpoint's
  std::vector<std::string> plans;
  std::vector<uint32_t> batches = {1};
  std::vector<uint32_t> contexts = {128};
  uint32_t tokens = 32;
  uint32_t repetitions = 5;
  uint32_t threads = 0;
  bool breakdown = false;
  bool isolate = false;
  HistoryOptions history;
  bool json = false;
};

// One way to run the model.
struct Setting {
  std::shared_ptr<Device> device;  // null of a plan
  Scheme scheme;
  std::optional<LoadedPlan> plan;
  bool on_processor = false;  // of this machine; never of a plan
  std::string what;           // the options that name it
  std::string command;        // for any batch and context

  bool is_simulated() const {
    return plan ? plan->is_simulated()
                : device->info().clock == TSR_CLOCK_SIMULATED;
  }
};

void add_bench_model_options(CLI::App& app, ModelOptions& options);

// Every device in every scheme, then the plans.
// Errors  NOT_FOUND if no device is ready; those of opening what is named
Result<std::vector<Setting>> find_settings(const ModelOptions& options,
                                           const LoadedModel& model);

// The command line that measures what the options `what` name.
std::string command_of(const ModelOptions& options, const std::string& what);

// The same of one load, without how often: what two runs are compared by.
std::string case_of(const ModelOptions& options, const Setting& setting,
                    const bench::ModelLoad& load);

// What a run is asked besides settings and loads.
Json settings_json(const ModelOptions& options);

}  // namespace tessera::cli
