// SPDX-License-Identifier: Apache-2.0
//
// Plans against every assignment of small random problems, added up here by
// docs/planner.md and by nothing of the planner's.

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <map>
#include <random>

#include "framework/planner/planner.hpp"

namespace tessera::planner {
namespace {

// Sums of a few dozen doubles, added in another order.
constexpr double kRounding = 1e-9;
constexpr double kNever = 1e300;

class ProblemMaker {
 public:
  explicit ProblemMaker(uint32_t seed) : rng_(seed) {}

  Problem make() {
    problem_.objective = static_cast<Objective>(pick(4));
    problem_.workload = {8, 1 + pick(4), 1};
    problem_.split_phases = happens(0.4);
    problem_.schemes = {"exact", "half"};
    problem_.pools = {{"a", amount(500, 3000)}, {"b", amount(500, 3000)}};
    for (uint32_t i = 0; i < 2; ++i) {
      problem_.devices.push_back({i == 0 ? "one" : "two", false,
                                  happens(0.3) ? 0U : i, happens(0.3) ? 0U : i,
                                  amount(0, 50), ""});
    }
    const double dear = happens(0.4) ? 2000.0 : 50.0;
    problem_.transfers = {{0, 1, {{0, draw(0, dear)}}},
                          {1, 0, {{0, draw(0, dear)}, {100, dear}}}};
    add_linear_class();
    for (const bool keeps_kv : {true, false}) add_segment_class(keeps_kv);
    const uint32_t linears = problem_.split_phases ? 1 : 2;
    for (int32_t g = 0; g < 2; ++g) add_segment(g, linears);
    add_limits();
    return std::move(problem_);
  }

 private:
  uint32_t pick(uint32_t count) {
    return static_cast<uint32_t>(rng_() % count);
  }
  double draw(double low, double high) {
    return std::uniform_real_distribution<double>(low, high)(rng_);
  }
  uint64_t amount(double low, double high) {
    return static_cast<uint64_t>(draw(low, high));
  }
  bool happens(double share) { return draw(0, 1) < share; }
  Cost cost(double scale) {
    return {scale * draw(10, 100), draw(1, 10), amount(0, 200), "measured"};
  }

  void add_linear_class() {
    LinearClass entry{"linear", 128, 64, {}, {}};
    for (uint32_t device = 0; device < 2; ++device) {
      for (uint32_t scheme = 0; scheme < 2; ++scheme) {
        const double share = scheme == 0 ? 1.0 : 0.5;
        Cell cell;
        cell.host = device;
        cell.scheme = scheme;
        cell.load_bytes = amount(0, 200);
        cell.parts = {{device, 0, 128, amount(200, 600), {}}};
        cell.costs = {cost(8 * share), cost(share)};
        entry.cells.push_back(cell);
      }
      if (!happens(0.3)) continue;
      Cell divided = entry.cells.back();
      divided.parts = {
          {device, 0, 64, amount(100, 300), {draw(1, 90), 9.0}},
          {1 - device, 64, 128, amount(100, 300), {draw(1, 90), draw(1, 9)}}};
      divided.costs = {cost(3), cost(0.4)};
      entry.cells.push_back(divided);
    }
    problem_.linear_classes = {entry};
  }

  void add_segment_class(bool keeps_kv) {
    SegmentClass entry{keeps_kv ? "attention" : "mlp", keeps_kv, {}, {}};
    for (uint32_t device = 0; device < 2; ++device) {
      entry.sites.push_back({device, amount(0, 100), {cost(2), cost(0.5)}});
    }
    problem_.segment_classes.push_back(entry);
  }

  void add_segment(int32_t g, uint32_t linears) {
    const std::string name = "layers." + std::to_string(g);
    SegmentModel segment{
        name, g, pick(2), {amount(50, 300), amount(5, 30)}, {}};
    for (uint32_t i = 0; i < linears; ++i) {
      segment.linears.push_back(
          {name + ".linear" + std::to_string(i), 0, {0.0, draw(0.01, 0.1)}});
    }
    problem_.segments.push_back(segment);
  }

  void add_limits() {
    if (happens(0.6)) problem_.limits.kl = draw(0.0, 0.2);
    if (happens(0.3)) problem_.limits.prefill_ns = draw(300, 1600);
    if (happens(0.3)) problem_.limits.decode_ns = draw(50, 500);
    if (happens(0.3)) {
      problem_.rules.push_back(
          {"layers.1*", happens(0.5) ? "one" : "two", "", happens(0.5)});
    }
    if (happens(0.3)) {
      problem_.rules.push_back({"*.linear0", "", "half", happens(0.5)});
    }
  }

  std::mt19937 rng_;
  Problem problem_;
};

// One device and one cell per linear, in each phase.
struct Placed {
  std::array<uint32_t, 2> devices{};
  std::vector<std::array<uint32_t, 2>> cells;
};

// What a whole assignment comes to.
struct Sum {
  double objective = 0.0;
  std::array<double, 2> kl{};
  std::array<double, 2> ns{};
  std::map<uint32_t, double> held;  // by pool
  std::map<uint32_t, double> peak;
  std::map<uint32_t, double> load;  // by compute
};

class Adder {
 public:
  explicit Adder(const Problem& problem) : problem_(problem) {}

  Sum add(const std::vector<Placed>& plan) {
    for (size_t g = 0; g < plan.size(); ++g) {
      add_own(g, plan[g]);
      for (size_t i = 0; i < plan[g].cells.size(); ++i) {
        add_linear(problem_.segments[g].linears[i], plan[g].cells[i]);
      }
      if (g + 1 < plan.size()) add_edge(g, plan[g], plan[g + 1]);
    }
    double largest = 0.0;
    for (const auto& [compute, ns] : sum_.load) largest = std::max(largest, ns);
    if (problem_.objective == Objective::kThroughput) sum_.objective = largest;
    return sum_;
  }

  bool keeps_limits() const {
    for (const auto& [pool, bytes] : sum_.held) {
      const auto peak = sum_.peak.find(pool);
      const double all = bytes + (peak == sum_.peak.end() ? 0.0 : peak->second);
      if (all > static_cast<double>(problem_.pools[pool].bytes)) return false;
    }
    const Limits& limits = problem_.limits;
    return within(std::max(sum_.kl[0], sum_.kl[1]), limits.kl) &&
           within(sum_.ns[kPrefill], limits.prefill_ns) &&
           within(sum_.ns[kDecode], limits.decode_ns);
  }

 private:
  static bool within(double value, const std::optional<double>& limit) {
    return !limit || value <= *limit * (1.0 + 1e-12);
  }

  double weight(size_t phase) const {
    return phase == kPrefill ? 1.0 : problem_.workload.generate;
  }

  void add_time(size_t phase, double ns, double energy_nj) {
    sum_.ns[phase] += ns;
    const double runs = weight(phase);
    if (problem_.objective == Objective::kLatency) sum_.objective += runs * ns;
    if (problem_.objective == Objective::kEnergy) {
      sum_.objective += runs * energy_nj;
    }
    // A millisecond is worth a kilobyte.
    if (problem_.objective == Objective::kMemory) {
      sum_.objective += runs * ns * 1e-3;
    }
  }

  void busy(size_t phase, uint32_t device, double ns) {
    sum_.load[problem_.devices[device].compute] += weight(phase) * ns;
  }

  void hold(uint32_t device, double bytes, bool counts) {
    sum_.held[problem_.devices[device].pool] += bytes;
    if (counts && problem_.objective == Objective::kMemory) {
      sum_.objective += bytes;
    }
  }

  void reach(uint32_t device, uint64_t bytes) {
    double& peak = sum_.peak[problem_.devices[device].pool];
    peak = std::max(peak, static_cast<double>(bytes));
  }

  void add_own(size_t g, const Placed& placed) {
    const auto& sites =
        problem_.segment_classes[problem_.segments[g].segment_class].sites;
    for (size_t phase = 0; phase < 2; ++phase) {
      const uint32_t device = placed.devices[phase];
      const Cost& cost = *sites[device].costs[phase];
      add_time(phase, cost.ns, cost.energy_nj);
      busy(phase, device, cost.ns);
      reach(device, cost.workspace_bytes);
      if (phase == kDecode && device == placed.devices[kPrefill]) continue;
      const uint64_t stage = g == 0 ? problem_.devices[device].stage_bytes : 0;
      hold(device, static_cast<double>(sites[device].resident_bytes + stage),
           true);
    }
  }

  void add_linear(const Linear& linear, const std::array<uint32_t, 2>& cells) {
    for (size_t phase = 0; phase < 2; ++phase) {
      const Cell& cell = problem_.linear_classes[0].cells[cells[phase]];
      const Cost& cost = *cell.costs[phase];
      add_time(phase, cost.ns, cost.energy_nj);
      sum_.kl[phase] += linear.kl[cell.scheme];
      reach(cell.parts.front().device, cost.workspace_bytes);
      for (const Part& part : cell.parts) {
        busy(phase, part.device,
             cell.parts.size() == 1 ? cost.ns : part.ns[phase]);
        if (phase == kDecode && cells[0] == cells[1]) continue;
        hold(part.device, static_cast<double>(part.weight_bytes), true);
        reach(part.device, cell.load_bytes);
      }
    }
  }

  void add_edge(size_t g, const Placed& before, const Placed& after) {
    for (size_t phase = 0; phase < 2; ++phase) {
      const uint32_t from = before.devices[phase];
      const uint32_t to = after.devices[phase];
      if (from == to) continue;
      const uint64_t bytes = problem_.segments[g].out_bytes[phase];
      const double ns = problem_.transfers[from].ns(bytes);
      add_time(phase, ns, 0.0);
      busy(phase, to, ns);
      // One pair of buffers serves both phases unless they may part.
      if (phase == kDecode && !problem_.split_phases) continue;
      hold(from, static_cast<double>(bytes), false);
      hold(to, static_cast<double>(bytes + problem_.devices[to].stage_bytes),
           false);
    }
  }

  const Problem& problem_;
  Sum sum_;
};

// Every assignment, one after the other.
class Enumerator {
 public:
  using Visit = std::function<void(const std::vector<Placed>&)>;

  Enumerator(const Problem& problem, Visit visit)
      : problem_(problem), visit_(std::move(visit)) {
    plan_.resize(problem.segments.size());
  }

  void run() { choose_devices(0); }

 private:
  bool allows(const std::string& name, uint32_t device,
              const std::string& scheme) const {
    return rules_allow(problem_, name, problem_.devices[device].name, scheme);
  }

  void choose_devices(size_t g) {
    if (g == plan_.size()) {
      visit_(plan_);
      return;
    }
    const SegmentModel& segment = problem_.segments[g];
    const bool one = !problem_.split_phases ||
                     problem_.segment_classes[segment.segment_class].keeps_kv;
    for (uint32_t first = 0; first < 2; ++first) {
      for (uint32_t second = 0; second < 2; ++second) {
        if (one && first != second) continue;
        if (!allows(segment.name, first, "") ||
            !allows(segment.name, second, "")) {
          continue;
        }
        plan_[g].devices = {first, second};
        plan_[g].cells.assign(segment.linears.size(), {});
        choose_cells(g, 0);
      }
    }
  }

  bool fits(const Linear& linear, uint32_t c, uint32_t host) const {
    const Cell& cell = problem_.linear_classes[0].cells[c];
    if (cell.host != host) return false;
    return std::all_of(cell.parts.begin(), cell.parts.end(),
                       [&](const Part& part) {
                         return allows(linear.name, part.device,
                                       problem_.schemes[cell.scheme]);
                       });
  }

  void choose_cells(size_t g, size_t i) {
    if (i == plan_[g].cells.size()) {
      choose_devices(g + 1);
      return;
    }
    const Linear& linear = problem_.segments[g].linears[i];
    const auto count =
        static_cast<uint32_t>(problem_.linear_classes[0].cells.size());
    for (uint32_t first = 0; first < count; ++first) {
      if (!fits(linear, first, plan_[g].devices[0])) continue;
      for (uint32_t second = 0; second < count; ++second) {
        if (!problem_.split_phases && second != first) continue;
        if (!fits(linear, second, plan_[g].devices[1])) continue;
        plan_[g].cells[i] = {first, second};
        choose_cells(g, i + 1);
      }
    }
  }

  const Problem& problem_;
  Visit visit_;
  std::vector<Placed> plan_;
};

double best_of_all(const Problem& problem) {
  double best = kNever;
  Enumerator(problem, [&](const std::vector<Placed>& plan) {
    Adder adder(problem);
    const Sum sum = adder.add(plan);
    if (adder.keeps_limits()) best = std::min(best, sum.objective);
  }).run();
  return best;
}

// The same without one kind of limit.
Problem without(Problem problem, uint32_t kind) {
  if (kind == 0) {
    for (MemoryPool& pool : problem.pools) pool.bytes = uint64_t{1} << 40;
  }
  if (kind == 1) problem.limits.kl.reset();
  if (kind == 2) problem.limits.prefill_ns.reset();
  if (kind == 3) problem.limits.decode_ns.reset();
  if (kind == 4) problem.rules.clear();
  return problem;
}

constexpr const char* kKinds[] = {"memory", "KL", "time of prefill",
                                  "time of decode", "rules"};

TEST(MakePlan, IsTheBestOfAllPlansOfRandomProblems) {
  std::map<std::string, int> active;
  int feasible = 0;
  int infeasible = 0;
  for (uint32_t seed = 42; seed < 442; ++seed) {
    const Problem problem = ProblemMaker(seed).make();
    const double best = best_of_all(problem);
    const auto made = make_plan(problem, {{}, false, false});
    if (best == kNever) {
      ++infeasible;
      EXPECT_FALSE(made.ok()) << "seed " << seed;
      continue;
    }
    ++feasible;
    ASSERT_TRUE(made.ok()) << "seed " << seed << made.status().message();
    EXPECT_NEAR(made->file.objective_value, best, kRounding * best)
        << "seed " << seed;
    EXPECT_LE(made->file.gap, kRounding) << "seed " << seed;
    for (uint32_t kind = 0; kind < 5; ++kind) {
      const double freer = best_of_all(without(problem, kind));
      if (freer < best * (1.0 - kRounding)) ++active[kKinds[kind]];
    }
  }
  EXPECT_GT(feasible, 200);
  EXPECT_GT(infeasible, 20);
  for (const char* kind : kKinds) {
    EXPECT_GE(active[kind], 5) << kind << " never changed the best plan";
    RecordProperty(kind, active[kind]);
  }
}

}  // namespace
}  // namespace tessera::planner
