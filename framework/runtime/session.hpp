// SPDX-License-Identifier: Apache-2.0
//
// A model loaded on devices, ready to take steps.

#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "framework/base/status.hpp"
#include "framework/graph/graph.hpp"
#include "framework/graph/weight_source.hpp"
#include "framework/host/device/device.hpp"
#include "framework/planner/plan.hpp"
#include "framework/runtime/feed.hpp"
#include "framework/runtime/stages/stage_set.hpp"

namespace tessera {

struct SessionOptions {
  uint32_t max_tokens = 512;  // per step, all sequences together
  uint32_t max_seqs = 1;      // open at once
  uint32_t max_outputs = 1;   // rows of logits per step
  uint32_t max_context = 0;   // tokens per sequence; at least 1
  uint32_t block_size = 16;   // tokens per KV block
  uint32_t kv_blocks = 0;     // 0: enough for every sequence at full context
  bool profile = false;       // collect a record per kernel
  // Remember what is fed, for switch_plan(): 4 bytes per token and some 60 per
  // step, as long as a sequence is open.
  bool keep_history = false;
  // Where weights, and tables of files, are looked for and put, so that
  // sessions of one model that are open together hold them once; outlives
  // them.  Null: the session's own.
  Residents* shared = nullptr;
};

// Times of the steps so far.  The host's part is all of a step that is spent
// outside the plugins.
struct StepTimes {
  uint64_t num_steps = 0;
  uint64_t total_ns = 0;
  uint64_t device_ns = 0;  // inside submit and wait
  // Of kernels on a simulated clock; 0 unless options.profile.  Never part of
  // the others.
  uint64_t simulated_ns = 0;
  uint64_t host_ns() const { return total_ns - device_ns; }
};

// One thread at a time.  A step allocates no memory.
class Session {
 public:
  // Loads the weights of `graph` as `plan` says.  `devices` has every name in
  // the plan; `source` and what it returns stay valid as long as the session.
  //
  // Errors  those of the devices, naming the op or the weight
  static Result<std::unique_ptr<Session>> create(Graph graph, const Plan& plan,
                                                 const WeightSource& source,
                                                 const DeviceMap& devices,
                                                 const SessionOptions& options);
  ~Session();

  // Errors: RESOURCE_EXHAUSTED if max_seqs are open.
  Result<uint32_t> open_sequence();
  void close_sequence(uint32_t sequence);
  // Cached tokens.
  uint32_t sequence_length(uint32_t sequence) const;

  // Runs one step over `feeds`, at most one per sequence.
  //
  // Errors  INVALID_ARGUMENT for an unknown sequence, an id outside the
  //         vocabulary, or a step larger than the options say;
  //         RESOURCE_EXHAUSTED if the KV cache is full;
  //         what a device reports.  After a failure of a device the session
  //         only fails, until switch_plan() succeeds.
  Status step(std::span<const Feed> feeds);

  // The device that ended the last step; empty if none did.
  const std::string& failed_device() const;

  // Goes on under another plan of the same graph.  What the old plan held is
  // given up, what `plan` asks for is loaded, and every finished step since the
  // oldest open sequence is run again, in its phases and batch, so that the KV
  // cache is that of `plan`.  Sequences stay as they are.
  //
  // Requires  options.keep_history
  // Errors    those of create() and of step(); the session only fails then
  Status switch_plan(const Plan& plan, const DeviceMap& devices);

  // Logits of output `row` of feed `feed` of the last step, [vocab_size]; valid
  // until the next step.
  std::span<const float> logits(size_t feed, uint32_t row = 0) const;

  const Graph& graph() const;
  const SessionOptions& options() const;
  const StepTimes& times() const;
  void reset_times();

  // Bytes held on the devices: packed weights (weights used in place are
  // counted with the raw bytes they read), KV cache, workspaces.
  struct Memory {
    uint64_t weight_bytes = 0;
    uint64_t kv_bytes = 0;
    uint64_t workspace_bytes = 0;
  };
  const Memory& memory() const;
  // Of a step with prompt tokens.
  uint32_t num_programs() const;

  // Kernels of the steps since the last call; empty unless options.profile.
  Result<std::vector<tsr_kernel_record>> take_profile();

 private:
  class Loader;
  struct State;
  explicit Session(std::unique_ptr<State> state);

  std::unique_ptr<State> state_;
};

}  // namespace tessera
