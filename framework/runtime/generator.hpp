// SPDX-License-Identifier: Apache-2.0
//
// Text generation: several prompts at once, prefill and decode mixed in each
// step.

#pragma once

#include <cstdint>
#include <functional>
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
};

// Called for each new token as soon as it is chosen; false ends that request.
using TokenCallback = std::function<bool(size_t request, int32_t token)>;

// Runs all requests to their end: at an id in `eos_ids`, after max_new_tokens,
// or where the context is full.  Requests start as sequences become free; what
// a request gets does not depend on the others, save through a float kernel's
// choice by batch size.
//
// Errors  INVALID_ARGUMENT if a prompt is empty or exceeds the context
Result<GenerationResult> generate(Session& session,
                                  const std::vector<Request>& requests,
                                  const std::vector<int32_t>& eos_ids,
                                  const TokenCallback& on_token);

}  // namespace tessera
