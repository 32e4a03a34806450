// SPDX-License-Identifier: Apache-2.0
//
// What a device takes for the ops of a segment: what it says of itself, and
// what it measures here.

#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "framework/base/status.hpp"
#include "framework/graph/weight_source.hpp"
#include "framework/host/device/device.hpp"
#include "framework/planner/problem/problem.hpp"
#include "framework/runtime/rounded_weights.hpp"
#include "framework/runtime/stage.hpp"
#include "framework/runtime/stages/stage_set.hpp"
#include "framework/tuning/plan/cost_store.hpp"
#include "framework/tuning/plan/graph_segments.hpp"
#include "framework/tuning/plan/timed_stage.hpp"

namespace tessera {

struct ProbeOptions {
  planner::Workload workload;
  Scheme base;           // of all but the linears of layers
  uint32_t repeats = 5;  // rounds of timed runs; 0: what devices estimate
  uint32_t threads = 0;  // that the devices were opened with
  // Where times are kept and looked up, or null; outlives the probe.
  CostStore* store = nullptr;
  bool remeasure = false;  // do not look up
  RunTimer timer;
};

// Of one prefill step of sessions for that work: as many as `tessera run` takes
// at once, or all there are.
uint32_t step_tokens_of(const planner::Workload& workload);

// How hard a probe tries.
enum class ProbeDepth {
  kEstimate,  // asks the device, unless its times are kept
  kMeasure,
};

// How many segments were timed, and how many had been before.
struct ProbeCounts {
  uint32_t measured = 0;
  uint32_t found = 0;
  uint32_t busy = 0;   // timed, but not kept: the machine did other things
  uint32_t steps = 0;  // of plans, timed as a whole
};

// What is to be timed: a segment on a device with its linears in a scheme.
struct TimedCell {
  std::shared_ptr<Device> device;
  const GraphSegment* segment = nullptr;
  const Scheme* scheme = nullptr;
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
  uint64_t resident_bytes = 0;       // tables, head, KV cache
  std::array<TimeSpread, 2> spread;  // of what was timed, by phase

  // All of it in a phase, as it was timed.
  SpreadTime total(uint32_t phase) const;
};

using DeviceList = std::vector<std::shared_ptr<Device>>;

// What entering a device from another takes: a program more, the copy, and what
// its first layer loses because others have had the cores and caches that they
// share.
struct SwitchTimes {
  // By device that is left, device that is entered, phase of one step.
  using Table = std::vector<std::vector<std::array<double, 2>>>;

  explicit SwitchTimes(size_t num_devices)
      : ns(num_devices, std::vector<std::array<double, 2>>(num_devices)),
        returns(ns),
        hidden(ns) {}

  Table ns;
  // Where a step begins behind one that ended on another device: nothing is
  // copied, and its program counts with the step.
  Table returns;
  // Of ns, copying through which the device that is entered can compute.
  Table hidden;
  bool was_busy = false;  // not to be kept
};

// What stages of a plan take, by phase, then stage.
struct StageTimes {
  using ByPhase = std::array<std::vector<double>, 2>;

  ByPhase in_step;  // from the end of the one before
  // Behind itself, and without what beginning its program takes, but for the
  // first one.
  ByPhase alone;
  std::array<bool, 2> was_busy{};
  bool others_ran = false;  // other processes, meanwhile
};

// `graph` and `source` outlive it.  One thread at a time.
class CostProbe {
 public:
  CostProbe(const Graph& graph, const WeightSource& source,
            const ProbeOptions& options);

  // From now on what the weights of the last segment were rounded to is kept,
  // in so much memory, for the next device that it is probed on.
  void keep_rounded(uint64_t max_bytes) { rounded_bytes_ = max_bytes; }

  // A segment on a device with its linears in `scheme`.  Devices whose clock is
  // simulated are only asked for estimates; those that give none are timed.
  //
  // Errors  those of reading the model; what a device does not support is a
  //         refusal
  Result<SegmentCost> probe(const std::shared_ptr<Device>& device,
                            const GraphSegment& segment, const Scheme& scheme,
                            ProbeDepth depth = ProbeDepth::kMeasure);

  // Times cells in turns, round by round, so that what else the machine does
  // falls on all alike; probe() then has their times.  As many at once as
  // memory is well spent on; loads no more once `is_late` says so, and ends the
  // rounds early.
  // What does not run among its neighbours is left to probe().
  //
  // Errors  those of the devices
  Status time_together(const std::vector<TimedCell>& cells,
                       const std::function<bool()>& is_late);

  // Times those anew that it had timed or found, in one go as far as memory
  // goes, in more rounds: they are to be told apart.  Where `is_late` says so
  // meanwhile, has_timed() may be false of some.
  //
  // Errors  as time_together()
  Status time_against(const std::vector<TimedCell>& cells,
                      const std::function<bool()>& is_late);

  // Whether its times are to be taken here, and are not kept.
  // Errors: those of the store.
  Result<bool> wants_timing(const TimedCell& cell);

  // Whether this probe has timed it among its neighbours.
  bool has_timed(const TimedCell& cell) const;

  // What a prefill step of it with its neighbours took, of as many layers as
  // are timed.
  //
  // Requires  has_timed(cell)
  double run_ns(const TimedCell& cell) const;

  // What it took, which is neither counted nor kept yet.
  //
  // Requires  has_timed(cell)
  // Errors    those of reading the model and of the device
  Result<SegmentCost> timed_cost(const TimedCell& cell);

  // Times of a device that are kept in the store are no longer taken from
  // there.
  void distrust(const Device& device) { distrusted_.insert(&device); }

  // What going from one device to another takes where programs meet.
  //
  // Requires  devices with wall clocks
  // Errors    those of the devices and of the store
  Result<SwitchTimes> probe_switches(const DeviceList& devices);

  const ProbeCounts& counts() const { return counts_; }

  // Bytes of the tensor that leads out of a segment, by phase.
  std::array<uint64_t, 2> out_bytes(const GraphSegment& segment) const;

  // Tokens of one prefill step, and how many steps a prompt batch takes.
  uint32_t step_tokens() const { return step_tokens_; }
  uint32_t prefill_steps() const;

  // How many full steps a segment's part in a phase is: prefill that of a
  // prompt batch, decode one.  The head's rows are those that are asked for,
  // which only the last step of a prompt has.
  double runs_of(const GraphSegment& segment, uint32_t phase) const;

  // What stages of a plan take in its own steps, as a session runs them.
  //
  // Requires  a plan that divides no linear
  // Errors    those of StageSet::create() and of the devices
  Result<StageTimes> time_plan(const Plan& plan, const DeviceMap& devices);

  // What steps of a phase were found to lose where they go from device to
  // device in this order, beyond what their segments take: by place in the
  // order, the first behind the last.  Nothing if it is not kept, or not to be
  // believed.
  // Errors: those of the store.
  Result<std::optional<std::vector<double>>> find_losses(
      const DeviceList& order, uint32_t phase);
  Status keep_losses(const DeviceList& order, uint32_t phase,
                     const std::vector<double>& losses);

 private:
  struct Subject;
  Plan plan_for(const Device& device, const GraphSegment& segment,
                const Scheme& scheme) const;
  tsr_step_shape step_shape(uint32_t phase) const;
  Status describe(Subject& subject);
  Result<std::string> find_refusal(const Subject& subject) const;
  Status estimate(const Subject& subject, SegmentCost& cost) const;

  // What the ops of all segments of one kind took in a run, added up.
  struct KindTimes {
    std::array<std::vector<double>, 2> ns;  // by phase, then op
    std::array<TimeSpread, 2> spread;       // by phase
    std::vector<std::string> kernels;       // by op
    uint32_t count = 0;                     // of segments
    uint64_t workspace_bytes = 0;
  };
  using WindowTimes = std::map<std::string, KindTimes>;     // by signature
  using WindowKey = std::pair<const Device*, std::string>;  // and its scheme
  struct Window;

  Status measure(const Subject& subject, const Scheme& scheme,
                 SegmentCost& cost);
  Status measure_alone(const Subject& subject, KindTimes& times);
  Result<Window> open_window(const TimedCell& cell);
  struct Go;
  Status time_all(const std::vector<TimedCell>& cells, const Go& go);
  std::vector<Window> open_windows(const std::vector<TimedCell>& cells,
                                   const Go& go, size_t& next);
  void time_phase(uint32_t phase, const Go& go, std::vector<Window>& windows);
  void forget_times(const TimedCell& cell);
  Status keep_times(const Window& window,
                    const std::array<std::vector<size_t>, 2>& rounds);
  bool fits_window(const GraphSegment& segment) const;
  const KindTimes* timed_kind(const Device& device, const GraphSegment& segment,
                              const Scheme& scheme) const;
  std::pair<OpRange, OpRange> switch_ranges() const;
  Result<TimedStage> open_switch_stage(const std::shared_ptr<Device>& device,
                                       const OpRange& range) const;
  Result<SwitchTimes> measure_switches(const DeviceList& devices);
  CostKey order_key(const DeviceList& order, uint32_t phase) const;
  CostKey switch_key(const DeviceList& devices, size_t from, size_t to) const;
  Result<std::optional<SwitchTimes>> find_switches(const DeviceList& devices);
  Status keep_switches(const DeviceList& devices, const SwitchTimes& times);
  std::pair<size_t, size_t> window_of(const GraphSegment& segment) const;
  Result<double> stage_ns(const std::shared_ptr<Device>& device);
  StageInputs stage_inputs(const Plan& plan,
                           Residents* residents = nullptr) const;
  Lowered lower_range(const Plan& plan, const OpRange& range) const;
  Result<bool> look_up(const Device& device, const CostKey& key,
                       SegmentCost& cost);
  Status find_times(const Subject& subject, const Scheme& scheme,
                    ProbeDepth depth, SegmentCost& cost);
  Status keep(const CostKey& key, const SegmentCost& cost);
  CostKey base_key(const Device& device) const;
  CostKey key_of(const TimedCell& cell) const;
  Status find_bytes(const Subject& subject, SegmentCost& cost) const;

  const Graph& graph_;
  const WeightSource& source_;
  ProbeOptions options_;
  uint32_t step_tokens_ = 0;
  StepLimits limits_;
  std::vector<GraphSegment> segments_;
  std::map<WindowKey, WindowTimes> windows_;
  std::set<WindowKey> unfit_;  // windows that do not run as a whole
  std::set<const Device*> distrusted_;
  std::map<const Device*, double> stage_ns_;
  ProbeCounts counts_;
  std::vector<std::pair<CostKey, MeasuredSegment>> timed_;  // by this probe
  uint64_t rounded_bytes_ = 0;
  RoundedWeights rounded_{0};
  uint32_t rounded_of_ = TSR_NONE;  // the segment's first op
};

}  // namespace tessera
