// SPDX-License-Identifier: Apache-2.0
//
// What a model under a load needs of memory, told before anything is loaded:
// where it is more than there is, the machine would begin to swap, or end us.

#pragma once

#include <cstdint>

#include "framework/base/status.hpp"
#include "framework/bench/model/model_timing.hpp"
#include "framework/cli/bench/model_options.hpp"

namespace tessera::cli {

struct ModelNeed {
  uint64_t weight_bytes = 0;  // 0 of a plan: its layers differ
  uint64_t kv_bytes = 0;

  uint64_t bytes() const { return weight_bytes + kv_bytes; }
};

// By arithmetic alone: workspaces and packing come on top.
// Errors  those of the model's graph; INVALID_ARGUMENT, naming the weight, if
//         the scheme cannot hold it
Result<ModelNeed> model_need(const LoadedModel& model, const Setting& setting,
                             const bench::ModelLoad& load);

// Bytes that a decoding step of `load` reads at least, on average over its
// steps: every product's weight, and the keys and values that each sequence
// sees.  0 of a plan.
// Errors  as model_need
Result<double> step_bytes(const LoadedModel& model, const Setting& setting,
                          const bench::ModelLoad& load);

// Errors  RESOURCE_EXHAUSTED, with both figures, if `need` is more than
//         `free_bytes`
Status check_memory(const ModelNeed& need, uint64_t free_bytes);

// What programs may still take of the machine's memory, caches of files
// included; without an answer of the system's, more than anybody needs.
uint64_t free_memory();

}  // namespace tessera::cli
