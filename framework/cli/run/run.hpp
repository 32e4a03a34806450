// SPDX-License-Identifier: Apache-2.0
//
// What tessera run was asked for, and everything that takes part in it.

#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "framework/cli/loaded_model.hpp"
#include "framework/cli/plan/loaded_plan.hpp"
#include "framework/cli/run/contingencies.hpp"
#include "framework/cli/run/profile.hpp"
#include "framework/cli/run/prompts.hpp"
#include "framework/cli/target_options.hpp"
#include "framework/runtime/generator.hpp"

namespace tessera::cli {

struct RunOptions {
  TargetOptions target;
  std::string plan;  // a file; empty: the target's device and scheme
  PromptOptions prompts;
  SamplingOptions sampling;
  uint32_t tokens = 64;
  uint32_t context = 0;  // 0: what prompts and tokens need
  std::optional<uint64_t> switch_at;
  std::string switch_from;  // a device; empty: the one that can be meant
  bool profile = false;
  bool json = false;
};

// Everything a run needs, put together once.
struct Run {
  LoadedModel loaded;
  Scheme scheme;
  std::vector<std::string> texts;
  std::vector<Request> requests;
  std::vector<int32_t> eos_ids;  // that end an answer
  std::optional<LoadedPlan> plan;
  std::shared_ptr<Device> device;  // with a plan, one of its devices
  std::string device_name;         // of all that take part
  std::unique_ptr<Contingencies> contingencies;
  std::unique_ptr<Session> session;
};

struct Outcome {
  GenerationResult result;
  std::vector<KernelTotal> kernels;
};

// True if every device's clock is simulated.
bool is_simulated(const Run& run);

}  // namespace tessera::cli
