// SPDX-License-Identifier: Apache-2.0
//
// Times a whole model: prompts of one length in one batch, then decoding.

#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "framework/base/status.hpp"
#include "framework/runtime/session.hpp"

namespace tessera::bench {

struct ModelLoad {
  uint32_t batch = 1;    // sequences at once
  uint32_t context = 1;  // prompt tokens of each
  uint32_t tokens = 1;   // decoded after it, by each
};

// One run of a load.  Wall times, or those of a simulated device where the
// session profiles and nothing but simulated kernels ran.
struct ModelSample {
  double prefill_ns = 0.0;      // all prompts
  double first_token_ns = 0.0;  // until the first sequence has its logits
  std::vector<double> step_ns;  // of each decoding step
};

// Requires  the session was opened for such a load, and has no open sequence
// Errors    those of Session::step
Result<ModelSample> run_model(Session& session, const ModelLoad& load,
                              bool simulated);

// What the ops of one kind, or of one layer, took in a run.
struct TimeShare {
  std::string name;
  double prefill_ns = 0.0;
  double decode_ns = 0.0;  // of all steps
};

struct Breakdown {
  std::vector<TimeShare> ops;     // by name within a layer: "q_proj"
  std::vector<TimeShare> layers;  // in order; before the first and after the
                                  // last as "embedding" and "head"
};

// One profiled run, after a shorter one that warms up.  `program_ops` is the
// first op of each of the session's programs, in their order.
//
// Requires  the session profiles
// Errors    as run_model; UNIMPLEMENTED if no device keeps records
Result<Breakdown> break_down(Session& session, const ModelLoad& load,
                             const std::vector<uint32_t>& program_ops);

}  // namespace tessera::bench
