// SPDX-License-Identifier: Apache-2.0

#include "framework/planner/problem/build_chain.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <utility>

namespace tessera::planner {
namespace {

// In the memory objective a millisecond weighs as much as a kilobyte, so that
// of equally large plans the faster one is taken.
constexpr double kBytesPerNs = 1e-3;

class ChainBuilder {
 public:
  explicit ChainBuilder(const Problem& problem) : problem_(problem) {}

  Result<BuiltChain> build() {
    TSR_RETURN_IF_ERROR(check(problem_));
    built_.chain.num_sites = static_cast<uint32_t>(problem_.devices.size());
    for (const uint64_t bytes : bytes_of_runs(problem_)) {
      run_bytes_.push_back(static_cast<double>(bytes));
    }
    add_rows();
    for (uint32_t g = 0; g < problem_.segments.size(); ++g) {
      TSR_RETURN_IF_ERROR(add_segment(g));
    }
    add_returns();
    return std::move(built_);
  }

 private:
  uint32_t add_row(std::string name, RowKind kind, double capacity,
                   RowMeaning meaning) {
    built_.chain.rows.push_back({std::move(name), kind, capacity});
    built_.meanings.push_back(meaning);
    return static_cast<uint32_t>(built_.chain.rows.size() - 1);
  }

  void add_rows() {
    for (const MemoryPool& pool : problem_.pools) {
      pool_rows_.push_back(add_row("memory of " + pool.name, RowKind::kLimit,
                                   static_cast<double>(pool.bytes),
                                   RowMeaning::kMemory));
    }
    if (problem_.limits.kl) {
      const double kl = *problem_.limits.kl;
      kl_rows_[kPrefill] = kl_rows_[kDecode] =
          add_row(problem_.split_phases ? "KL of prefill" : "KL",
                  RowKind::kLimit, kl, RowMeaning::kKl);
      if (problem_.split_phases) {
        kl_rows_[kDecode] =
            add_row("KL of decode", RowKind::kLimit, kl, RowMeaning::kKl);
      }
    }
    const std::array<std::optional<double>, 2> times = {
        problem_.limits.prefill_ns, problem_.limits.decode_ns};
    for (uint32_t phase = 0; phase < kNumPhases; ++phase) {
      if (!times[phase]) continue;
      time_rows_[phase] =
          add_row(phase == kPrefill ? "time of prefill" : "time of decode",
                  RowKind::kLimit, *times[phase], RowMeaning::kTime);
    }
    if (problem_.objective != Objective::kThroughput) return;
    for (const DeviceModel& device : problem_.devices) {
      if (load_rows_.contains(device.compute)) continue;
      load_rows_[device.compute] =
          add_row("load of " + device.name, RowKind::kLoad, kInfinity,
                  RowMeaning::kLoad);
    }
  }

  double phase_weight(uint32_t phase) const {
    return phase == kPrefill ? 1.0
                             : static_cast<double>(problem_.workload.generate);
  }

  // Times or bytes by device.
  using ByDevice = std::vector<std::pair<uint32_t, double>>;

  // What steps of a phase hold; one set of programs and buffers serves both
  // phases unless they may part.
  ByDevice held_in(uint32_t phase, ByDevice bytes) const {
    if (!problem_.split_phases && phase != kPrefill) bytes.clear();
    return bytes;
  }

  // busy  times, for throughput
  // held  bytes
  Charge charge_of(uint32_t phase, const Cost& cost, const ByDevice& busy,
                   const ByDevice& held, std::vector<Use> sums) {
    Charge charge;
    for (const auto& [device, bytes] : held)
      add_held(device, bytes, charge, sums);
    const double weight = phase_weight(phase);
    switch (problem_.objective) {
      case Objective::kLatency:
        charge.cost = weight * cost.ns;
        break;
      case Objective::kEnergy:
        charge.cost = weight * cost.energy_nj;
        break;
      case Objective::kMemory:
        charge.cost += weight * cost.ns * kBytesPerNs;
        break;
      case Objective::kThroughput:
        for (const auto& [device, ns] : busy) {
          sums.push_back(
              {load_rows_.at(problem_.devices[device].compute), weight * ns});
        }
        break;
    }
    if (time_rows_[phase] != kNone)
      sums.push_back({time_rows_[phase], cost.ns});
    charge.sums = built_.chain.add_uses(sums);
    return charge;
  }

  void add_held(uint32_t device, double bytes, Charge& charge,
                std::vector<Use>& sums) const {
    sums.push_back({pool_rows_[problem_.devices[device].pool], bytes});
    if (problem_.objective == Objective::kMemory) charge.cost += bytes;
  }

  // What is held for good.
  Charge resident(const ByDevice& held, uint64_t load_bytes) {
    Charge charge;
    std::vector<Use> sums;
    std::vector<Use> peaks;
    for (const auto& [device, bytes] : held) {
      add_held(device, bytes, charge, sums);
      // A run's weights are loaded before it takes what it needs besides.
      const double more = static_cast<double>(load_bytes) - run_bytes_[device];
      if (more <= 0.0) continue;
      peaks.push_back({pool_rows_[problem_.devices[device].pool], more});
    }
    charge.sums = built_.chain.add_uses(sums);
    charge.peaks = built_.chain.add_uses(peaks);
    return charge;
  }

  // Both phases need a cost, or nothing can run there at all.
  static bool runs(const std::array<std::optional<Cost>, 2>& costs,
                   uint32_t phase, bool one_place) {
    return one_place ? costs[kPrefill] && costs[kDecode]
                     : costs[phase].has_value();
  }

  void begin_item(uint32_t segment, uint32_t linear, bool one_resident) {
    item_ = {};
    item_.one_resident = one_resident;
    item_.resident_begin = static_cast<uint32_t>(built_.chain.residents.size());
    built_.segment_of_item.push_back(segment);
    built_.linear_of_item.push_back(linear);
  }

  void begin_phase(uint32_t phase) {
    item_.option_begin[phase] = num_options();
  }
  void end_phase(uint32_t phase) { item_.option_end[phase] = num_options(); }
  uint32_t num_options() const {
    return static_cast<uint32_t>(built_.chain.options.size());
  }

  void end_item() {
    item_.resident_end = static_cast<uint32_t>(built_.chain.residents.size());
    built_.chain.items.push_back(item_);
  }

  void add_own_ops(uint32_t g, bool tied) {
    const SegmentModel& segment = problem_.segments[g];
    const SegmentClass& entry = problem_.segment_classes[segment.segment_class];
    begin_item(g, kNone, false);
    for (const Site& site : entry.sites) {
      built_.chain.residents.push_back(resident(
          {{site.device, static_cast<double>(site.resident_bytes)}}, 0));
    }
    for (uint32_t phase = 0; phase < kNumPhases; ++phase) {
      begin_phase(phase);
      for (uint32_t s = 0; s < entry.sites.size(); ++s) {
        const Site& site = entry.sites[s];
        if (!runs(site.costs, phase, tied)) continue;
        if (!rules_allow(problem_, segment.name,
                         problem_.devices[site.device].name, "")) {
          continue;
        }
        const Cost& cost = *site.costs[phase];
        ByDevice held;
        if (g == 0) held = {{site.device, run_bytes_[site.device]}};
        built_.chain.options.push_back(
            {site.device, s,
             charge_of(phase, cost, {{site.device, cost.ns}},
                       held_in(phase, std::move(held)), {})});
        built_.option_index.push_back(s);
      }
      end_phase(phase);
    }
    end_item();
  }

  bool allowed(const Linear& linear, const Cell& cell) const {
    return std::all_of(cell.parts.begin(), cell.parts.end(),
                       [&](const Part& part) {
                         return rules_allow(problem_, linear.name,
                                            problem_.devices[part.device].name,
                                            problem_.schemes[cell.scheme]);
                       });
  }

  void add_linear_option(uint32_t phase, const Linear& linear, uint32_t c,
                         const Cell& cell) {
    const Cost& cost = *cell.costs[phase];
    std::vector<Use> sums;
    const bool counts = problem_.split_phases || phase == kPrefill;
    if (kl_rows_[phase] != kNone && counts) {
      sums.push_back({kl_rows_[phase], linear.kl[cell.scheme]});
    }
    const bool divided = cell.parts.size() > 1;
    ByDevice busy;
    ByDevice held;
    for (const Part& part : cell.parts) {
      busy.emplace_back(part.device, divided ? part.ns[phase] : cost.ns);
      if (divided) held.emplace_back(part.device, run_bytes_[part.device]);
    }
    // The segment's ops go on in a program of their own.
    if (divided) held.emplace_back(cell.host, run_bytes_[cell.host]);
    built_.chain.options.push_back(
        {cell.host, c,
         charge_of(phase, cost, busy, held_in(phase, std::move(held)),
                   std::move(sums))});
    built_.option_index.push_back(c);
  }

  void add_linear(uint32_t g, uint32_t index) {
    const Linear& linear = problem_.segments[g].linears[index];
    const LinearClass& entry = problem_.linear_classes[linear.linear_class];
    const bool one_place = !problem_.split_phases;
    begin_item(g, index, one_place);
    for (const Cell& cell : entry.cells) {
      ByDevice bytes;
      for (const Part& part : cell.parts) {
        bytes.emplace_back(part.device, static_cast<double>(part.weight_bytes));
      }
      built_.chain.residents.push_back(resident(bytes, cell.load_bytes));
    }
    for (uint32_t phase = 0; phase < kNumPhases; ++phase) {
      begin_phase(phase);
      for (uint32_t c = 0; c < entry.cells.size(); ++c) {
        const Cell& cell = entry.cells[c];
        if (!runs(cell.costs, phase, one_place)) continue;
        if (!allowed(linear, cell)) continue;
        add_linear_option(phase, linear, c, cell);
      }
      end_phase(phase);
    }
    end_item();
  }

  Status add_segment(uint32_t g) {
    const SegmentModel& model = problem_.segments[g];
    const bool keeps_kv =
        problem_.segment_classes[model.segment_class].keeps_kv;
    Segment segment;
    segment.tied = keeps_kv || !problem_.split_phases;
    segment.item_begin = static_cast<uint32_t>(built_.chain.items.size());
    add_own_ops(g, segment.tied);
    for (uint32_t i = 0; i < model.linears.size(); ++i) add_linear(g, i);
    segment.item_end = static_cast<uint32_t>(built_.chain.items.size());
    if (g + 1 < problem_.segments.size()) segment.edge = edge_of(model);
    built_.chain.segments.push_back(segment);
    return check_has_site(g);
  }

  uint32_t edge_of(const SegmentModel& model) {
    const auto found = edges_.find(model.out_bytes);
    if (found != edges_.end()) return found->second;
    Edge edge;
    for (uint32_t phase = 0; phase < kNumPhases; ++phase) {
      for (uint32_t from = 0; from < problem_.devices.size(); ++from) {
        for (uint32_t to = 0; to < problem_.devices.size(); ++to) {
          edge.charges[phase].push_back(
              transfer(phase, from, to, model.out_bytes[phase]));
        }
      }
    }
    const auto index = static_cast<uint32_t>(built_.chain.edges.size());
    built_.chain.edges.push_back(std::move(edge));
    edges_[model.out_bytes] = index;
    return index;
  }

  Charge transfer(uint32_t phase, uint32_t from, uint32_t to, uint64_t bytes) {
    if (from == to) return {};
    const auto curve = std::find_if(
        problem_.transfers.begin(), problem_.transfers.end(),
        [&](const TransferCurve& c) { return c.from == from && c.to == to; });
    if (curve == problem_.transfers.end()) return {kInfinity, {}, {}};
    Cost cost;
    cost.ns = curve->ns(bytes);
    const auto buffer = static_cast<double>(bytes);
    return charge_of(
        phase, cost, {{to, (1.0 - curve->overlap) * cost.ns}},
        held_in(phase, {{from, buffer}, {to, buffer + run_bytes_[to]}}), {});
  }

  // From where a step ends back to where the next one begins.
  void add_returns() {
    const auto num_devices = static_cast<uint32_t>(problem_.devices.size());
    for (uint32_t phase = 0; phase < kNumPhases; ++phase) {
      std::vector<Charge> charges(size_t{num_devices} * num_devices);
      bool any = false;
      for (const TransferCurve& curve : problem_.transfers) {
        Cost cost;
        cost.ns = curve.return_ns[phase];
        if (cost.ns <= 0.0 || curve.from == curve.to) continue;
        any = true;
        charges[curve.from * num_devices + curve.to] =
            charge_of(phase, cost, {{curve.to, cost.ns}}, {}, {});
      }
      if (any) built_.chain.returns[phase] = std::move(charges);
    }
  }

  // Some device must have an option for every item in each phase.
  Status check_has_site(uint32_t g) const {
    const Segment& segment = built_.chain.segments[g];
    for (uint32_t phase = 0; phase < kNumPhases; ++phase) {
      for (uint32_t device = 0; device < problem_.devices.size(); ++device) {
        bool all = true;
        for (uint32_t i = segment.item_begin; i < segment.item_end; ++i) {
          all = all && has_option(built_.chain.items[i], phase, device);
        }
        if (all) break;
        if (device + 1 == problem_.devices.size()) return explain_none(g);
      }
    }
    return {};
  }

  bool has_option(const Item& item, uint32_t phase, uint32_t device) const {
    for (uint32_t o = item.option_begin[phase]; o < item.option_end[phase];
         ++o) {
      if (built_.chain.options[o].site == device) return true;
    }
    return false;
  }

  Status explain_none(uint32_t g) const {
    const SegmentModel& segment = problem_.segments[g];
    std::string text = segment.name + ": no device can run it";
    const auto add = [&](const std::vector<Refusal>& refusals) {
      for (size_t i = 0; i < std::min<size_t>(refusals.size(), 4); ++i) {
        text += fmt::format("; {}{}{}: {}",
                            problem_.devices[refusals[i].device].name,
                            refusals[i].scheme.empty() ? "" : " ",
                            refusals[i].scheme, refusals[i].reason);
      }
    };
    add(problem_.segment_classes[segment.segment_class].refusals);
    for (const Linear& linear : segment.linears) {
      add(problem_.linear_classes[linear.linear_class].refusals);
    }
    if (!problem_.rules.empty()) text += "; rules for names leave the rest out";
    return {TSR_UNIMPLEMENTED, text};
  }

  const Problem& problem_;
  BuiltChain built_;
  Item item_;
  std::vector<uint32_t> pool_rows_;
  std::vector<double> run_bytes_;  // by device
  std::array<uint32_t, 2> kl_rows_ = {kNone, kNone};
  std::array<uint32_t, 2> time_rows_ = {kNone, kNone};
  std::map<uint32_t, uint32_t> load_rows_;  // by compute
  std::map<std::array<uint64_t, 2>, uint32_t> edges_;
};

}  // namespace

Result<BuiltChain> build_chain(const Problem& problem) {
  return ChainBuilder(problem).build();
}

}  // namespace tessera::planner
