// SPDX-License-Identifier: Apache-2.0
//
// What a device takes for the ops of a segment: what it says of itself, and
// what it measures here.

#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "framework/base/status.hpp"
#include "framework/graph/weight_source.hpp"
#include "framework/host/device.hpp"
#include "framework/planner/problem/problem.hpp"
#include "framework/tuning/plan/cost_store.hpp"
#include "framework/tuning/plan/graph_segments.hpp"

namespace tessera {

struct ProbeOptions {
  planner::Workload workload;
  Scheme base;           // of all but the linears of layers
  uint32_t repeats = 5;  // timed runs of each step; 0: what devices estimate
  uint32_t threads = 0;  // that the devices were opened with
  // Where times are kept and looked up, or null; outlives the probe.
  CostStore* store = nullptr;
  bool remeasure = false;  // do not look up
};

// How hard a probe tries.
enum class ProbeDepth {
  kEstimate,  // asks the device, unless its times are kept
  kMeasure,
};

// How many segments were timed, and how many had been before.
struct ProbeCounts {
  uint32_t measured = 0;
  uint32_t found = 0;
};

// By phase: kPrefill of a whole prompt batch, kDecode of one step.
using PhaseCosts = std::array<planner::Cost, 2>;

struct LinearCost {
  uint32_t weight = 0;  // of the graph
  PhaseCosts costs;
  uint64_t weight_bytes = 0;  // as the device holds it
  uint64_t raw_bytes = 0;     // before it is packed
  std::string layout;
  std::string kernel;
};

struct SegmentCost {
  std::string refusal;  // why the device does not run it; empty: it does
  PhaseCosts own;       // all but the linears of layers
  std::vector<LinearCost> linears;
  uint64_t resident_bytes = 0;  // tables, head, KV cache
  // Of a run beyond its kernels: submitting, waiting.
  double stage_ns = 0.0;
};

// `graph` and `source` outlive it.  One thread at a time.
class CostProbe {
 public:
  CostProbe(const Graph& graph, const WeightSource& source,
            const ProbeOptions& options);

  // A segment on a device with its linears in `scheme`.  Devices whose clock is
  // simulated are only asked for estimates; those that give none are timed.
  //
  // Errors  those of reading the model; what a device does not support is a
  //         refusal
  Result<SegmentCost> probe(const std::shared_ptr<Device>& device,
                            const GraphSegment& segment, const Scheme& scheme,
                            ProbeDepth depth = ProbeDepth::kMeasure);

  const ProbeCounts& counts() const { return counts_; }

  // Bytes of the tensor that leads out of a segment, by phase.
  std::array<uint64_t, 2> out_bytes(const GraphSegment& segment) const;

  // Tokens of one prefill step, and how many steps a prompt batch takes.
  uint32_t step_tokens() const { return step_tokens_; }
  uint32_t prefill_steps() const;

 private:
  struct Subject;
  Plan plan_for(const Device& device, const GraphSegment& segment,
                const Scheme& scheme) const;
  tsr_step_shape step_shape(uint32_t phase) const;
  Status describe(Subject& subject);
  Result<std::string> find_refusal(const Subject& subject) const;
  Status estimate(const Subject& subject, SegmentCost& cost) const;
  Status measure(const Subject& subject, SegmentCost& cost) const;
  Result<bool> look_up(const CostKey& key, SegmentCost& cost);
  Status find_times(const Subject& subject, const Scheme& scheme,
                    ProbeDepth depth, SegmentCost& cost);
  CostKey key_of(const Subject& subject, const Scheme& scheme) const;
  Status find_bytes(const Subject& subject, SegmentCost& cost) const;

  const Graph& graph_;
  const WeightSource& source_;
  ProbeOptions options_;
  uint32_t step_tokens_ = 0;
  StepLimits limits_;
  ProbeCounts counts_;
  std::vector<CostKey> timed_;  // by this probe
};

}  // namespace tessera
