// SPDX-License-Identifier: Apache-2.0
//
// Times what it takes to go from one device to another.

#include <algorithm>
#include <chrono>
#include <cstring>
#include <utility>

#include "framework/runtime/fit_scheme.hpp"
#include "framework/tuning/plan/host_copy.hpp"
#include "framework/tuning/plan/probe_subject.hpp"
#include "framework/tuning/plan/runtime_plan.hpp"
#include "framework/tuning/plan/timed_stage.hpp"

namespace tessera {
namespace {

using planner::kDecode;
using planner::kPrefill;

// Weights of this many numbers are more than caches hold, in 16 bits.
constexpr uint64_t kAwayWeights = uint64_t{16} << 20;

// Rounds for each of those that segments are timed in: what is looked for is a
// small difference.
constexpr uint32_t kRoundsPerRepeat = 4;

// Fewer, but never fewer than segments get, once they took so long.
constexpr double kEnoughNs = 1e9;

using Clock = std::chrono::steady_clock;

double ns_since(Clock::time_point begin) {
  return std::chrono::duration<double, std::nano>(Clock::now() - begin).count();
}

// What a session does between two stages: the step's arrays and the tensor.
double copy_ns(Stage& from, Stage& to, uint64_t rows) {
  const Clock::time_point begin = Clock::now();
  std::memcpy(to.arena(), from.arena(), from.arena_bytes());
  for (const BoundaryTensor& written : from.outputs()) {
    for (const BoundaryTensor& read : to.inputs()) {
      std::memcpy(read.memory, written.memory,
                  rows * std::min(written.row_bytes, read.row_bytes));
    }
  }
  return ns_since(begin);
}

// Layers on a device that take its caches and let threads of others fall
// asleep, and the last one of them by itself.
struct SwitchEnd {
  TimedStage layers;
  TimedStage layer;
  std::vector<double> overlaps;  // with copying, a round each

  uint64_t row_bytes() const {
    uint64_t bytes = 0;
    for (const BoundaryTensor& one : layers.stage().outputs()) {
      bytes += one.row_bytes;
    }
    return bytes;
  }
};

// Runs of a layer behind those of many.
struct Entries {
  std::vector<double> after_other;
  std::vector<double> after_own;
  std::array<std::vector<double>, 2> copies;  // by phase

  bool was_busy() const { return is_busy(quiet_time(after_own).spread); }

  // Beyond what the layer takes behind others of its own device.
  double lost_ns() const {
    return std::max(median_of(after_other) - median_of(after_own), 0.0);
  }
};

Status add_entry(std::vector<SwitchEnd>& ends, size_t from, size_t to,
                 const std::array<uint64_t, 2>& rows, Entries& entries) {
  TSR_RETURN_IF_ERROR(ends[to].layers.time_run().status());
  TSR_ASSIGN_OR_RETURN(const double after_own, ends[to].layer.time_run());
  TSR_RETURN_IF_ERROR(ends[from].layers.time_run().status());
  TSR_ASSIGN_OR_RETURN(const double after_other, ends[to].layer.time_run());
  entries.after_own.push_back(after_own);
  entries.after_other.push_back(after_other);
  for (const uint32_t phase : {kPrefill, kDecode}) {
    entries.copies[phase].push_back(copy_ns(
        ends[from].layers.stage(), ends[to].layer.stage(), rows[phase]));
  }
  return {};
}

// How far the device computes on while the host copies a prompt's rows.
Status add_overlap(SwitchEnd& end, uint64_t rows) {
  const uint64_t bytes = rows * end.row_bytes();
  // Another device may have run before.
  TSR_RETURN_IF_ERROR(end.layers.time_run().status());
  TSR_ASSIGN_OR_RETURN(const double alone, end.layers.time_run());
  const double copy = host_copy_ns(bytes);
  HostCopying copying(bytes);
  TSR_ASSIGN_OR_RETURN(const double beside, end.layers.time_run());
  const auto copies = static_cast<double>(copying.stop());
  end.overlaps.push_back(copy_overlap(alone, beside, copies * copy));
  return {};
}

using EntryTable = std::vector<std::vector<Entries>>;  // by from, then to

Status add_round(std::vector<SwitchEnd>& ends,
                 const std::array<uint64_t, 2>& rows, EntryTable& table) {
  for (size_t to = 0; to < ends.size(); ++to) {
    for (size_t from = 0; from < ends.size(); ++from) {
      if (from == to) continue;
      TSR_RETURN_IF_ERROR(add_entry(ends, from, to, rows, table[from][to]));
    }
  }
  return {};
}

EntryTable empty_table(size_t count) {
  return EntryTable(count, std::vector<Entries>(count));
}

}  // namespace

// The last layers, as many as caches do not hold, and the last one of them; of
// a larger layer the ops in front.
std::pair<OpRange, OpRange> CostProbe::switch_ranges() const {
  const auto& ops = graph_.ops;
  const auto weights_of = [&](uint32_t op) {
    const auto* linear = std::get_if<tsr_op_linear>(&ops[op].body);
    if (linear == nullptr) return uint64_t{0};
    const GraphWeight& weight = graph_.weights[linear->weight];
    return uint64_t{weight.N} * weight.K;
  };
  const auto in_layers = [&](uint32_t op) {
    return ops[op].layer != kBeforeLayers && ops[op].layer != kAfterLayers;
  };
  OpRange layer{0, static_cast<uint32_t>(ops.size()), "", {}, 0};
  while (layer.last > 1 && !in_layers(layer.last - 1)) --layer.last;
  layer.first = layer.last - 1;
  uint64_t weights = weights_of(layer.first);
  OpRange layers = layer;
  const auto takes_in = [&](uint32_t op) {
    if (!in_layers(op)) return false;
    return weights < kAwayWeights || ops[op].layer == ops[op + 1].layer;
  };
  while (layers.first > 0 && takes_in(layers.first - 1)) {
    weights += weights_of(--layers.first);
    if (ops[layers.first].layer == ops[layer.first].layer) {
      layer.first = layers.first;
    }
  }
  while (weights > 2 * kAwayWeights && layers.first == layer.first &&
         layer.last > layer.first + 1) {
    weights -= weights_of(--layer.last);
    layers.last = layer.last;
  }
  return {layers, layer};
}

Result<TimedStage> CostProbe::open_switch_stage(
    const std::shared_ptr<Device>& device, const OpRange& range) const {
  const Plan plan =
      uniform_plan(graph_, device->name(), fit_scheme(options_.base, *device));
  TSR_ASSIGN_OR_RETURN(
      TimedStage stage,
      TimedStage::create(stage_inputs(plan), range, device, options_.timer));
  stage.prepare(step_shape(kDecode), limits_.max_blocks_per_seq);
  return stage;
}

// A layer of each device behind layers of the others, beside the same behind
// layers of its own, in a decode step.
Result<SwitchTimes> CostProbe::measure_switches(const DeviceList& devices) {
  auto [layers, layer] = switch_ranges();
  std::vector<SwitchEnd> ends;
  for (const std::shared_ptr<Device>& device : devices) {
    layers.device = layer.device = device->name();
    TSR_ASSIGN_OR_RETURN(TimedStage all, open_switch_stage(device, layers));
    TSR_ASSIGN_OR_RETURN(TimedStage last, open_switch_stage(device, layer));
    ends.push_back({std::move(all), std::move(last), {}});
  }
  const std::array<uint64_t, 2> rows{step_shape(kPrefill).num_tokens,
                                     step_shape(kDecode).num_tokens};
  EntryTable warm_up = empty_table(ends.size());
  TSR_RETURN_IF_ERROR(add_round(ends, rows, warm_up));
  EntryTable table = empty_table(ends.size());
  const Clock::time_point begin = Clock::now();
  for (uint32_t round = 0; round < kRoundsPerRepeat * options_.repeats;
       ++round) {
    if (round >= options_.repeats && ns_since(begin) > kEnoughNs) break;
    TSR_RETURN_IF_ERROR(add_round(ends, rows, table));
    for (SwitchEnd& end : ends) {
      TSR_RETURN_IF_ERROR(add_overlap(end, rows[kPrefill]));
    }
  }
  SwitchTimes times(devices.size());
  for (size_t to = 0; to < ends.size(); ++to) {
    TSR_ASSIGN_OR_RETURN(const double start_ns, stage_ns(devices[to]));
    for (size_t from = 0; from < ends.size(); ++from) {
      if (from == to) continue;
      const Entries& entries = table[from][to];
      // In prefill no more is lost than in decode: too little to be seen beside
      // a layer's time.
      const double lost = entries.lost_ns();
      times.returns[from][to] = {lost, lost};
      for (const uint32_t phase : {kPrefill, kDecode}) {
        const double copy = median_of(entries.copies[phase]);
        times.ns[from][to][phase] = lost + start_ns + copy;
        times.hidden[from][to][phase] = median_of(ends[to].overlaps) * copy;
      }
      times.was_busy = times.was_busy || entries.was_busy();
    }
  }
  return times;
}

CostKey CostProbe::switch_key(const DeviceList& devices, size_t from,
                              size_t to) const {
  CostKey key = base_key(*devices[from]);
  key.segment = "entry of " + device_fingerprint(*devices[to]);
  return key;
}

// Nothing unless all are there.
Result<std::optional<SwitchTimes>> CostProbe::find_switches(
    const DeviceList& devices) {
  std::optional<SwitchTimes> nothing;
  if (options_.store == nullptr || options_.remeasure) return nothing;
  SwitchTimes times(devices.size());
  for (size_t from = 0; from < devices.size(); ++from) {
    if (distrusted_.contains(devices[from].get())) return nothing;
    for (size_t to = 0; to < devices.size(); ++to) {
      if (from == to) continue;
      TSR_ASSIGN_OR_RETURN(const std::optional<MeasuredSegment> known,
                           options_.store->find(switch_key(devices, from, to)));
      if (!known || known->parts.size() != 3) return nothing;
      for (const uint32_t phase : {kPrefill, kDecode}) {
        times.ns[from][to][phase] = known->parts[0].costs[phase].ns;
        times.returns[from][to][phase] = known->parts[1].costs[phase].ns;
        times.hidden[from][to][phase] = known->parts[2].costs[phase].ns;
      }
    }
  }
  return std::optional<SwitchTimes>(std::move(times));
}

Status CostProbe::keep_switches(const DeviceList& devices,
                                const SwitchTimes& times) {
  if (options_.store == nullptr || times.was_busy) return {};
  for (size_t from = 0; from < devices.size(); ++from) {
    for (size_t to = 0; to < devices.size(); ++to) {
      if (from == to) continue;
      MeasuredPart entry;
      MeasuredPart back{"return", "", {}};
      MeasuredPart hidden{"hidden", "", {}};
      for (const uint32_t phase : {kPrefill, kDecode}) {
        entry.costs[phase].ns = times.ns[from][to][phase];
        back.costs[phase].ns = times.returns[from][to][phase];
        hidden.costs[phase].ns = times.hidden[from][to][phase];
      }
      TSR_RETURN_IF_ERROR(options_.store->put(switch_key(devices, from, to),
                                              {{entry, back, hidden}, {}}));
    }
  }
  return {};
}

Result<SwitchTimes> CostProbe::probe_switches(const DeviceList& devices) {
  TSR_ASSIGN_OR_RETURN(std::optional<SwitchTimes> known,
                       find_switches(devices));
  if (known) return std::move(*known);
  TSR_ASSIGN_OR_RETURN(SwitchTimes times, measure_switches(devices));
  TSR_RETURN_IF_ERROR(keep_switches(devices, times));
  return times;
}

}  // namespace tessera
