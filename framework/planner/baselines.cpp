// SPDX-License-Identifier: Apache-2.0

#include "framework/planner/baselines.hpp"

#include <algorithm>
#include <utility>

namespace tessera::planner {
namespace {

// What HETERO counts for a segment, over its constants.
constexpr double kHeteroMargin = 1.2;

// Options priced for one precision: at first, and at most.
constexpr uint64_t kGlanceWork = 2'000'000;
constexpr uint64_t kBaselineWork = 40'000'000;

class BaselineFinder {
 public:
  BaselineFinder(const Problem& problem, const BuiltChain& built,
                 const SolveLimits& limits)
      : problem_(problem), built_(built), limits_(limits) {
    // One solve for each scheme: none is worth seconds of proof.
    limits_.integer_program = false;
    for (uint32_t i = 0; i < problem.devices.size(); ++i) all_.push_back(i);
  }

  std::vector<Baseline> find() {
    std::vector<Baseline> result;
    result.push_back(uniform_precision());
    result.push_back(best_of("single best device", singles(), 1.0));
    result.push_back(best_of("priority-greedy", {all_}, 1.0));
    result.push_back(best_of("hetero-greedy", {all_}, kHeteroMargin));
    result.push_back(best_of("first-n-layers", pairs(), 1.0));
    return result;
  }

 private:
  using Order = std::vector<uint32_t>;  // devices, best first

  std::vector<Order> singles() const {
    std::vector<Order> orders;
    for (const uint32_t device : all_) orders.push_back({device});
    return orders;
  }

  std::vector<Order> pairs() const {
    std::vector<Order> orders;
    for (const uint32_t device : all_) {
      if (device != all_.back()) orders.push_back({device, all_.back()});
    }
    if (orders.empty()) orders.push_back({all_.back()});
    return orders;
  }

  const Cell* find_cell(const Linear& linear, uint32_t device, uint32_t scheme,
                        uint32_t* out_index) const {
    const auto& cells = problem_.linear_classes[linear.linear_class].cells;
    for (uint32_t c = 0; c < cells.size(); ++c) {
      if (cells[c].host != device || cells[c].scheme != scheme) continue;
      if (!cells[c].costs[kPrefill] || !cells[c].costs[kDecode]) continue;
      *out_index = c;
      return &cells[c];
    }
    return nullptr;
  }

  // Puts a segment on a device; false if that cannot run it so.
  bool place(const SegmentModel& segment, uint32_t device, uint32_t scheme,
             Assignment::Segment& out_segment, double& out_bytes) const {
    const auto& sites = problem_.segment_classes[segment.segment_class].sites;
    const auto site = std::find_if(
        sites.begin(), sites.end(),
        [device](const Site& one) { return one.device == device; });
    if (site == sites.end()) return false;
    const auto index = static_cast<uint32_t>(site - sites.begin());
    out_segment = {{device, device}, {index, index}, {}};
    out_bytes = static_cast<double>(site->resident_bytes);
    for (const Linear& linear : segment.linears) {
      uint32_t c = 0;
      const Cell* cell = find_cell(linear, device, scheme, &c);
      if (cell == nullptr) return false;
      out_segment.linears.push_back({{c, c}});
      for (const Part& part : cell->parts) {
        out_bytes += static_cast<double>(part.weight_bytes);
      }
    }
    return true;
  }

  // Each segment on the first device of `order` that runs it and has room.
  bool fill(const Order& order, uint32_t scheme, double margin,
            Assignment& out_assignment) const {
    std::vector<double> used(problem_.pools.size(), 0.0);
    out_assignment.segments.clear();
    for (const SegmentModel& segment : problem_.segments) {
      bool placed = false;
      for (const uint32_t device : order) {
        Assignment::Segment chosen;
        double bytes = 0.0;
        if (!place(segment, device, scheme, chosen, bytes)) continue;
        const uint32_t pool = problem_.devices[device].pool;
        const bool is_last = device == order.back();
        const auto room = static_cast<double>(problem_.pools[pool].bytes);
        if (!is_last && used[pool] + margin * bytes > kShareFilled * room) {
          continue;
        }
        used[pool] += margin * bytes;
        out_assignment.segments.push_back(std::move(chosen));
        placed = true;
        break;
      }
      if (!placed) return false;
    }
    return true;
  }

  Baseline best_of(const std::string& name, const std::vector<Order>& orders,
                   double margin) const {
    Baseline best;
    best.name = name;
    for (const Order& order : orders) {
      for (uint32_t scheme = 0; scheme < problem_.schemes.size(); ++scheme) {
        Assignment assignment;
        if (!fill(order, scheme, margin, assignment)) continue;
        auto prediction = predict(problem_, built_, assignment);
        if (!prediction.ok() || !prediction->feasible) continue;
        if (best.feasible &&
            prediction->objective >= best.prediction.objective) {
          continue;
        }
        best.feasible = true;
        best.detail = problem_.schemes[scheme];
        for (const uint32_t device : order) {
          if (order.size() == all_.size() && order.size() > 1) break;
          best.detail += " " + problem_.devices[device].name;
        }
        best.assignment = std::move(assignment);
        best.prediction = std::move(*prediction);
      }
    }
    return best;
  }

  // Of one scheme for all linears.
  struct OneScheme {
    uint32_t scheme = 0;
    double bound = -kInfinity;  // no plan of it has a smaller objective
  };

  // Offers the best plan that is found with one scheme.
  OneScheme solve_in(uint32_t scheme, const SolveLimits& limits,
                     Baseline& best) const {
    Problem one = problem_;
    for (LinearClass& entry : one.linear_classes) {
      for (Cell& cell : entry.cells) {
        if (cell.scheme != scheme) cell.costs = {};
      }
    }
    const auto built = build_chain(one);
    if (!built.ok()) return {scheme, kInfinity};
    const Solution solution = solve_chain(built->chain, limits);
    OneScheme found{scheme, solution.bound};
    if (solution.infeasible) found.bound = kInfinity;
    if (!solution.feasible) return found;
    Assignment assignment = to_assignment(one, *built, solution.choice);
    auto prediction = predict(problem_, built_, assignment);
    const bool better =
        prediction.ok() && prediction->feasible &&
        (!best.feasible || prediction->objective < best.prediction.objective);
    if (better) {
      best.feasible = true;
      best.detail = problem_.schemes[scheme];
      best.assignment = std::move(assignment);
      best.prediction = std::move(*prediction);
    }
    if (solution.gap() <= limits.gap) found.bound = kInfinity;
    return found;
  }

  // The planner's own devices, but one scheme for all linears.  A glance at
  // each says which are worth more.
  Baseline uniform_precision() const {
    Baseline best;
    best.name = "uniform precision";
    SolveLimits glance = limits_;
    glance.max_work = kGlanceWork;
    std::vector<OneScheme> open;
    for (uint32_t scheme = 0; scheme < problem_.schemes.size(); ++scheme) {
      open.push_back(solve_in(scheme, glance, best));
    }
    std::stable_sort(open.begin(), open.end(),
                     [](const OneScheme& a, const OneScheme& b) {
                       return a.bound < b.bound;
                     });
    SolveLimits rest = limits_;
    rest.max_work = std::min(rest.max_work, kBaselineWork);
    for (const OneScheme& one : open) {
      const double enough =
          best.feasible ? best.prediction.objective * (1.0 - limits_.late_gap)
                        : kInfinity;
      if (one.bound >= enough) break;
      solve_in(one.scheme, rest, best);
    }
    return best;
  }

  // Room that is left for workspaces and buffers.
  static constexpr double kShareFilled = 0.95;

  const Problem& problem_;
  const BuiltChain& built_;
  SolveLimits limits_;
  Order all_;
};

}  // namespace

Result<std::vector<Baseline>> find_baselines(const Problem& problem,
                                             const SolveLimits& limits) {
  TSR_ASSIGN_OR_RETURN(const BuiltChain built, build_chain(problem));
  return BaselineFinder(problem, built, limits).find();
}

}  // namespace tessera::planner
