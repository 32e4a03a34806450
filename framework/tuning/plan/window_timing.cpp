// SPDX-License-Identifier: Apache-2.0
//
// Times segments where they stand in the model, many cells in turns.

#include <algorithm>
#include <chrono>
#include <numeric>
#include <utility>

#include "framework/tuning/plan/probe_subject.hpp"
#include "framework/tuning/plan/timed_stage.hpp"

namespace tessera {
namespace {

using planner::kDecode;
using planner::kPrefill;

// Weights of this many numbers in a row are more than caches hold, in 4 bits
// too: what is timed in such a run is as cold as in a session.
constexpr uint64_t kColdWeights = uint64_t{96} << 20;

// Weights that are loaded at once to be timed in turns; and of what is to be
// told apart, the share of a device's memory, if that is more.
constexpr uint64_t kBytesAtOnce = uint64_t{1} << 30;
constexpr uint64_t kShareOfMemory = 8;

// Rounds of what is to be told apart, for each that others get.
constexpr uint32_t kCloseRounds = 3;
// No more than others get on a quiet machine once rounds took so long.
constexpr auto kEnough = std::chrono::seconds(2);

// Rounds where time is up: less than that tells nothing.
constexpr uint32_t kLeastRounds = 2;

std::vector<double> sizes_of_ops(const Graph& graph, const Lowered& lowered) {
  std::vector<double> sizes;
  for (size_t op = 0; op < lowered.ops.size(); ++op) {
    const uint32_t weight = weight_of(graph, lowered, op);
    sizes.push_back(weight == TSR_NONE ? 0.0
                                       : double{1} * graph.weights[weight].N *
                                             graph.weights[weight].K);
  }
  return sizes;
}

}  // namespace

// How cells are timed.
struct CostProbe::Go {
  const std::function<bool()>& is_late;
  uint32_t num_rounds = 0;
  uint64_t bytes_at_once = kBytesAtOnce;
};

// A run of segments as one program.
struct CostProbe::Window {
  TimedCell cell;
  size_t begin = 0;  // of segments_
  size_t end = 0;
  uint32_t first_op = 0;
  TimedStage stage;
  std::array<OpRounds, 2> rounds;  // by phase
};

StageInputs CostProbe::stage_inputs(const Plan& plan,
                                    Residents* residents) const {
  return {graph_,          plan,
          source_,         limits_,
          kProbeBlockSize, limits_.max_blocks_per_seq * limits_.max_seqs,
          false,           residents};
}

// What it takes to begin a program and wait for it: a run of a single op,
// without that op.
Result<double> CostProbe::stage_ns(const std::shared_ptr<Device>& device) {
  const auto known = stage_ns_.find(device.get());
  if (known != stage_ns_.end()) return known->second;
  const GraphSegment& first =
      segments_[std::min<size_t>(1, segments_.size() - 1)];
  const Plan plan = plan_for(*device, first, options_.base);
  const OpRange range{first.first, first.first + 1, device->name(), {}, 0};
  TSR_ASSIGN_OR_RETURN(
      TimedStage stage,
      TimedStage::create(stage_inputs(plan), range, device, options_.timer));
  stage.prepare(step_shape(kDecode), limits_.max_blocks_per_seq);
  std::vector<double> outside;
  for (uint32_t run = 0; run <= 2 * options_.repeats; ++run) {
    TSR_ASSIGN_OR_RETURN(const auto records, stage.record_run());
    TSR_ASSIGN_OR_RETURN(double ns, stage.time_run());
    for (const tsr_kernel_record& record : records) {
      ns -= static_cast<double>(record.end_ns - record.begin_ns);
    }
    if (run > 0) outside.push_back(std::max(ns, 0.0));
  }
  return stage_ns_[device.get()] = median_of(outside);
}

// The last segments of the graph, down to `segment` or until their weights
// outgrow caches; those before the first layer stay by themselves.
std::pair<size_t, size_t> CostProbe::window_of(
    const GraphSegment& segment) const {
  size_t at = segments_.size();
  uint64_t weights = 0;
  bool has_segment = false;
  while (at > 1 && (weights < kColdWeights || !has_segment)) {
    --at;
    for (const uint32_t weight : segments_[at].weights) {
      weights += uint64_t{graph_.weights[weight].N} * graph_.weights[weight].K;
    }
    has_segment = has_segment || segments_[at].signature == segment.signature;
    if (weights > 2 * kColdWeights) break;
  }
  return {at, segments_.size()};
}

// With all its linears, and behind another.
bool CostProbe::fits_window(const GraphSegment& segment) const {
  return std::any_of(
      segments_.begin() + 1, segments_.end(), [&](const GraphSegment& one) {
        return one.first == segment.first && one.weights == segment.weights;
      });
}

const CostProbe::KindTimes* CostProbe::timed_kind(const Device& device,
                                                  const GraphSegment& segment,
                                                  const Scheme& scheme) const {
  const auto window = windows_.find({&device, scheme.name});
  if (!fits_window(segment) || window == windows_.end()) return nullptr;
  const auto kind = window->second.find(segment.signature);
  return kind == window->second.end() ? nullptr : &kind->second;
}

bool CostProbe::has_timed(const TimedCell& cell) const {
  return timed_kind(*cell.device, *cell.segment, *cell.scheme) != nullptr;
}

double CostProbe::run_ns(const TimedCell& cell) const {
  double ns = 0.0;
  for (const auto& [signature, kind] :
       windows_.at({cell.device.get(), cell.scheme->name})) {
    ns =
        std::accumulate(kind.ns[kPrefill].begin(), kind.ns[kPrefill].end(), ns);
  }
  return ns;
}

Result<CostProbe::Window> CostProbe::open_window(const TimedCell& cell) {
  const auto [begin, end] = window_of(*cell.segment);
  GraphSegment whole = segments_[begin];
  whole.last = segments_[end - 1].last;
  whole.weights.clear();
  for (size_t i = begin; i < end; ++i) {
    whole.weights.insert(whole.weights.end(), segments_[i].weights.begin(),
                         segments_[i].weights.end());
  }
  const Plan plan = plan_for(*cell.device, whole, *cell.scheme);
  const OpRange range = whole.range(cell.device->name());
  // A plan has more layers for its head than the run, so what they take has to
  // be known apart.
  const uint32_t front_ops =
      end - begin > 1 ? segments_[end - 1].first - range.first : 0;
  const std::vector<double> sizes =
      sizes_of_ops(graph_, lower_range(plan, range));
  // In a prefill step kernels take long, and what lies between them is little.
  const std::array<OpRounds, 2> rounds{OpRounds(sizes, 0),
                                       OpRounds(sizes, front_ops)};
  TSR_ASSIGN_OR_RETURN(
      TimedStage stage,
      TimedStage::create(stage_inputs(plan), range, cell.device, options_.timer,
                         front_ops));
  return Window{cell, begin, end, range.first, std::move(stage), rounds};
}

// Twice the rounds where the machine was busy, for a second of quiet is enough.
void CostProbe::time_phase(uint32_t phase, const Go& go,
                           std::vector<Window>& windows) {
  for (Window& window : windows) {
    window.stage.prepare(step_shape(phase), limits_.max_blocks_per_seq);
  }
  const auto begin = std::chrono::steady_clock::now();
  const auto took_enough = [begin] {
    return std::chrono::steady_clock::now() - begin > kEnough;
  };
  for (uint32_t round = 0; round < 2 * go.num_rounds; ++round) {
    const bool is_busy = std::any_of(windows.begin(), windows.end(),
                                     [phase](const Window& window) {
                                       return window.rounds[phase].was_busy();
                                     });
    if (round >= go.num_rounds && !is_busy) return;
    if (round >= kLeastRounds && go.is_late()) return;
    if (round >= options_.repeats && took_enough()) return;
    std::erase_if(windows, [&](Window& window) {
      const bool ran = window.rounds[phase].add_round(window.stage).ok();
      const TimedCell& cell = window.cell;
      if (!ran) unfit_.insert({cell.device.get(), cell.scheme->name});
      return !ran;
    });
  }
}

// Each kind of segment gets what its ops took in the rounds that count, by
// phase.
Status CostProbe::keep_times(const Window& window,
                             const std::array<std::vector<size_t>, 2>& rounds) {
  const TimedCell& cell = window.cell;
  TSR_ASSIGN_OR_RETURN(const double start_ns, stage_ns(cell.device));
  WindowTimes times;
  for (const uint32_t phase : {kPrefill, kDecode}) {
    const OpTimes found = window.rounds[phase].times(start_ns, rounds[phase]);
    for (size_t i = window.begin; i < window.end; ++i) {
      KindTimes& kind = times[segments_[i].signature];
      const size_t offset = segments_[i].first - window.first_op;
      const size_t count = segments_[i].last - segments_[i].first;
      kind.ns[phase].resize(count);
      kind.kernels.assign(
          found.kernels.begin() + static_cast<long>(offset),
          found.kernels.begin() + static_cast<long>(offset + count));
      for (size_t op = 0; op < count; ++op) {
        kind.ns[phase][op] += found.ns[offset + op];
      }
      kind.spread[phase] = found.spread;
      if (phase == kPrefill) ++kind.count;
      kind.workspace_bytes = window.stage.stage().memory().workspace_bytes;
    }
  }
  // What was given out already stays.
  windows_[{cell.device.get(), cell.scheme->name}].merge(times);
  return {};
}

Status CostProbe::time_together(const std::vector<TimedCell>& cells,
                                const std::function<bool()>& is_late) {
  return time_all(cells, {is_late, options_.repeats});
}

void CostProbe::forget_times(const TimedCell& cell) {
  const CostKey key = key_of(cell);
  windows_.erase({cell.device.get(), cell.scheme->name});
  std::erase_if(timed_, [&](const auto& entry) {
    const auto& [known, measured] = entry;
    if (known.device != key.device || known.scheme != key.scheme) return false;
    --counts_.measured;
    if (is_busy(measured)) --counts_.busy;
    return true;
  });
}

Status CostProbe::time_against(const std::vector<TimedCell>& cells,
                               const std::function<bool()>& is_late) {
  if (is_late()) return {};
  Go go{is_late, kCloseRounds * options_.repeats};
  uint64_t least = UINT64_MAX;
  for (const TimedCell& cell : cells) {
    forget_times(cell);
    least = std::min(least, cell.device->info().memory_bytes);
  }
  go.bytes_at_once = std::max(kBytesAtOnce, least / kShareOfMemory);
  return time_all(cells, go);
}

// As many as memory is well spent on, from `next` on, which is moved on.
std::vector<CostProbe::Window> CostProbe::open_windows(
    const std::vector<TimedCell>& cells, const Go& go, size_t& next) {
  std::vector<Window> windows;
  uint64_t bytes = 0;
  for (; next < cells.size() && bytes < go.bytes_at_once && !go.is_late();
       ++next) {
    const TimedCell& cell = cells[next];
    const WindowKey key{cell.device.get(), cell.scheme->name};
    const bool is_open =
        std::any_of(windows.begin(), windows.end(), [&](const Window& window) {
          return window.cell.device == cell.device &&
                 window.cell.scheme->name == cell.scheme->name;
        });
    if (is_open || !fits_window(*cell.segment) || has_timed(cell) ||
        unfit_.contains(key)) {
      continue;
    }
    Result<Window> window = open_window(cell);
    // Another segment of the run may be what the device lacks.
    if (!window.ok() || !stage_ns(cell.device).ok()) {
      unfit_.insert(key);
      continue;
    }
    bytes += window->stage.stage().memory().weight_bytes;
    windows.push_back(std::move(*window));
  }
  return windows;
}

Status CostProbe::time_all(const std::vector<TimedCell>& cells, const Go& go) {
  size_t next = 0;
  while (next < cells.size() && !go.is_late()) {
    std::vector<Window> windows = open_windows(cells, go, next);
    std::array<bool, 2> others_ran{};
    for (const uint32_t phase : {kPrefill, kDecode}) {
      const std::function<bool()> others = options_.timer.watch();
      time_phase(phase, go, windows);
      others_ran[phase] = others();
    }
    std::array<std::vector<size_t>, 2> rounds;
    for (const uint32_t phase : {kPrefill, kDecode}) {
      std::vector<std::vector<double>> walls;
      walls.reserve(windows.size());
      for (const Window& window : windows) {
        walls.push_back(window.rounds[phase].walls());
      }
      rounds[phase] = rounds_that_count(walls, others_ran[phase]);
    }
    for (const Window& window : windows) {
      TSR_RETURN_IF_ERROR(keep_times(window, rounds));
    }
  }
  return {};
}

// By itself, hot in caches: for what cannot be in a run with others.
Status CostProbe::measure_alone(const Subject& subject, KindTimes& times) {
  TSR_ASSIGN_OR_RETURN(const double start_ns, stage_ns(subject.device));
  TSR_ASSIGN_OR_RETURN(
      TimedStage stage,
      TimedStage::create(stage_inputs(subject.plan),
                         subject.segment.range(subject.device->name()),
                         subject.device, options_.timer));
  for (const uint32_t phase : {kPrefill, kDecode}) {
    stage.prepare(step_shape(phase), limits_.max_blocks_per_seq);
    OpRounds rounds(sizes_of_ops(graph_, subject.lowered), 0);
    const std::function<bool()> others = options_.timer.watch();
    for (uint32_t round = 0; round < options_.repeats; ++round) {
      TSR_RETURN_IF_ERROR(rounds.add_round(stage));
    }
    OpTimes found =
        rounds.times(start_ns, rounds_that_count({rounds.walls()}, others()));
    times.ns[phase] = std::move(found.ns);
    times.spread[phase] = found.spread;
    times.kernels = std::move(found.kernels);
  }
  times.count = 1;
  times.workspace_bytes = stage.stage().memory().workspace_bytes;
  return {};
}

}  // namespace tessera
