// SPDX-License-Identifier: Apache-2.0
//
// Text generation: several prompts at once, prefill and decode mixed in each
// step.

#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "framework/base/status.hpp"
#include "framework/runtime/sampler.hpp"
#include "framework/runtime/session.hpp"

namespace tessera {

struct Request {
  std::vector<int32_t> prompt;  // at least one token
  uint32_t max_new_tokens = 0;
  SamplingOptions sampling;
};

enum class FinishReason { kEos, kLength, kContext };

struct Generation {
  std::vector<int32_t> tokens;  // new ones; an EOS is not among them
  FinishReason reason = FinishReason::kLength;
};

// How a generation goes on when a device fails.
struct Survival {
  // Changes the plan of `session` (Session::switch_plan) before step `step`,
  // because of `failure`, or of nothing if that is OK.  May be called again
  // when the new plan fails; an error ends the generation.
  using SwitchPlan = std::function<Status(Session& session, uint64_t step,
                                          const Status& failure)>;
  SwitchPlan switch_plan;  // null: a failure ends the generation
  // After so many steps the plan changes though nothing failed.
  std::optional<uint64_t> switch_at;
};

struct GenerationResult {
  std::vector<Generation> generations;  // in the order of the requests
  uint64_t prompt_tokens = 0;
  uint64_t new_tokens = 0;
  uint64_t prefill_ns = 0;  // steps that took prompt tokens
  uint64_t decode_ns = 0;   // steps that took none
  // The same steps on the clock of simulated devices; 0 unless the session
  // profiles.
  uint64_t prefill_simulated_ns = 0;
  uint64_t decode_simulated_ns = 0;
  uint64_t decode_steps = 0;
  uint64_t decode_tokens = 0;   // made by those steps
  uint64_t decode_host_ns = 0;  // of decode_ns, outside the plugins
  // The same of the median decode step: what a step costs the host when nobody
  // else takes its core.
  uint64_t median_step_host_ns = 0;
  uint64_t num_steps = 0;
  uint64_t switch_ns = 0;  // of changes of plan; part of none of the others
};

// Called for each new token as soon as it is chosen; false ends that request.
using TokenCallback = std::function<bool(size_t request, int32_t token)>;

// Runs all requests to their end: at an id in `eos_ids`, after max_new_tokens,
// or where the context is full.  Requests start as sequences become free; what
// a request gets does not depend on the others, save through a float kernel's
// choice by batch size.
//
// Requires  the session keeps its history if `survival` can switch
// Errors    INVALID_ARGUMENT if a prompt is empty or exceeds the context
Result<GenerationResult> generate(Session& session,
                                  const std::vector<Request>& requests,
                                  const std::vector<int32_t>& eos_ids,
                                  const TokenCallback& on_token,
                                  const Survival& survival = {});

}  // namespace tessera
