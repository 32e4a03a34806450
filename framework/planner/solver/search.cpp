// SPDX-License-Identifier: Apache-2.0

#include "framework/planner/solver/search.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include "framework/planner/solver/integer_program.hpp"
#include "framework/planner/solver/ring.hpp"

namespace tessera::planner {
namespace {

// Choices worse than the best plan by more than this share are not improved.
constexpr double kWorthPolishing = 0.02;

// While there is no plan, steps aim that far towards more than any plan costs:
// where no plan exists, the bound has to get there.
constexpr double kReach = 0.25;

// Branches in which plans are looked for by walking, besides what comes along.
constexpr uint32_t kNodesToWalk = 60;

// Walking costs more than a step, and little is new after each.
constexpr uint32_t kStepsPerWalk = 8;

// Steps of a branch before it is parted.
constexpr uint32_t kStepsBeforeBranch = 8;

// Branches of our own before the integer program: most chains are done by then.
constexpr uint32_t kNodesBeforeProgram = 40;

double largest(const Charge& charge) {
  return charge.cost == kInfinity ? 0.0 : charge.cost;
}

double largest_loads(const Chain& chain, const Charge& charge) {
  double sum = 0.0;
  for (uint32_t i = 0; i < charge.sums.count; ++i) {
    const Use& use = chain.uses[charge.sums.begin + i];
    if (chain.rows[use.row].kind == RowKind::kLoad) sum += use.amount;
  }
  return sum;
}

// More than any choice costs, loads of all rows together.
double worst_objective(const Chain& chain) {
  double total = 0.0;
  const auto worst = [&chain](const Charge& charge) {
    return largest(charge) + largest_loads(chain, charge);
  };
  for (const Item& item : chain.items) {
    for (uint32_t phase = 0; phase < kNumPhases; ++phase) {
      double most = 0.0;
      for (uint32_t o = item.option_begin[phase]; o < item.option_end[phase];
           ++o) {
        const Option& option = chain.options[o];
        double price = worst(option.charge);
        if (option.resident != kNone) {
          price +=
              worst(chain.residents[item.resident_begin + option.resident]);
        }
        most = std::max(most, price);
      }
      total += most;
    }
  }
  for (const Segment& segment : chain.segments) {
    if (segment.edge == kNone) continue;
    for (const auto& charges : chain.edges[segment.edge].charges) {
      double most = 0.0;
      for (const Charge& charge : charges) most = std::max(most, worst(charge));
      total += most;
    }
  }
  return total;
}

}  // namespace

double Solution::gap() const {
  if (!feasible || objective <= 0.0) return 0.0;
  return std::max(0.0, (objective - bound) / objective);
}

Search::Search(const Chain& chain, const SolveLimits& limits)
    : chain_(chain),
      limits_(limits),
      states_(chain),
      peaks_(chain),
      relaxation_(chain),
      ascent_(chain),
      incumbent_(chain, limits.on_first_plan),
      site_search_(chain),
      root_restriction_(no_restriction(chain)),
      worst_objective_(worst_objective(chain)),
      counts_{std::vector<uint32_t>(chain.options.size()), 0},
      seen_(chain) {}

// What a plan must stay below to be worth finding.
double Search::cutoff() const {
  if (!incumbent_.exists()) return worst_objective_ * (1.0 + kTolerance) + 1.0;
  return incumbent_.objective() - kTolerance * incumbent_.objective();
}

bool Search::is_closed(double bound) const { return bound >= cutoff(); }

double Search::target_above(double bound) const {
  if (incumbent_.exists()) return incumbent_.objective();
  return bound + kReach * (worst_objective_ - bound);
}

void Search::count_choice(const Choice& choice) {
  for (uint32_t phase = 0; phase < kNumPhases; ++phase) {
    for (const uint32_t o : choice.options[phase]) ++counts_.options[o];
  }
  ++counts_.steps;
}

void Search::use_choice(const Choice& choice, const Totals& totals) {
  const double worth = incumbent_.objective() * (1.0 + kWorthPolishing);
  if (is_feasible(chain_, totals)) {
    const double objective = objective_of(chain_, totals);
    if (objective < worth && objective != last_polished_) {
      incumbent_.polish(choice, ascent_.prices());
      last_polished_ = objective;
    }
    last_feasible_ = choice;
    has_feasible_ = true;
  } else {
    last_infeasible_ = choice;
    has_infeasible_ = true;
  }
}

void Search::ascend(Node& node, Restriction& restriction, uint32_t steps) {
  relaxation_.open(restriction);
  ascent_.restart();
  if (!node.prices.empty()) {
    const auto prices = row_prices(node);
    ascent_.set_prices({prices.begin(), prices.end()});
  }
  std::fill(counts_.options.begin(), counts_.options.end(), 0);
  counts_.steps = 0;
  for (uint32_t step = 0; step < steps; ++step) {
    const double bound = relaxation_.solve(ascent_.prices());
    ++steps_;
    if (bound > node.bound || node.prices.empty()) {
      node.bound = std::max(node.bound, bound);
      node.prices = ascent_.prices();
    }
    if (bound == kInfinity) return;
    const Choice& choice = relaxation_.choice();
    const Totals totals = add_up(chain_, choice);
    if (step >= steps / 2) count_choice(choice);
    use_choice(choice, totals);
    const bool walks = !incumbent_.exists() || step % kStepsPerWalk == 0;
    if (walks && !is_feasible(chain_, totals)) try_walk();
    if (is_closed(node.bound)) return;
    ascent_.step(bound, totals.sums, restriction.peak_floor,
                 target_above(bound));
  }
}

void Search::try_walk() {
  if (!relaxation_.walk()) return;
  const Totals totals = add_up(chain_, relaxation_.walked());
  if (is_feasible(chain_, totals)) use_choice(relaxation_.walked(), totals);
}

uint64_t Search::work() const {
  return relaxation_.work() + site_search_.work() + incumbent_.work();
}

bool Search::is_spent() const {
  return nodes_ >= limits_.max_nodes || work() >= limits_.max_work;
}

double Search::late_gap() const {
  return std::max(limits_.gap, limits_.late_gap);
}

bool Search::is_within(double gap, double bound) const {
  return incumbent_.exists() && bound >= incumbent_.objective() * (1.0 - gap);
}

// The best plan is near enough to the best possible one.
bool Search::is_near(double bound) const {
  return is_within(work() >= limits_.late_work ? late_gap() : limits_.gap,
                   bound);
}

bool Search::is_later(const NodePtr& a, const NodePtr& b) {
  return a->bound != b->bound ? a->bound > b->bound : a->id > b->id;
}

void Search::open_later(NodePtr node) {
  open_.push_back(std::move(node));
  std::push_heap(open_.begin(), open_.end(), is_later);
}

// The open branch of the least bound.
Search::NodePtr Search::take_least() {
  std::pop_heap(open_.begin(), open_.end(), is_later);
  NodePtr node = std::move(open_.back());
  open_.pop_back();
  return node;
}

Search::NodePtr Search::child_of(const NodePtr& node, Decision decision,
                                 bool keep) {
  auto child = std::make_shared<Node>();
  child->parent = node;
  child->decision = decision;
  child->decision.keep = keep;
  child->bound = node->bound;
  child->prices = node->prices;
  child->id = ++last_id_;
  return child;
}

void Search::branch(const NodePtr& node, const Decision& decision) {
  for (const bool keep : {true, false}) {
    const NodePtr child = child_of(node, decision, keep);
    ++nodes_;
    Restriction restriction = restriction_of(*child);
    const Restriction before = restriction;
    if (!propagate(*child, restriction)) continue;
    ascend(*child, restriction, limits_.node_steps);
    if (is_closed(child->bound)) continue;
    if (!propagate(*child, restriction)) continue;
    if (nodes_ <= kNodesToWalk) walk_around(*child);
    if (is_closed(child->bound)) continue;
    remember(before, restriction, *child);
    open_later(child);
  }
}

void Search::branch_by_option(const NodePtr& node) {
  Restriction restriction = restriction_of(*node);
  ascend(*node, restriction, kStepsBeforeBranch);
  if (is_closed(node->bound)) return;
  Decision decision;
  if (choose_decision(*node, restriction, &decision)) branch(node, decision);
}

Solution Search::finish(double open_bound,
                        const std::vector<double>& prices) const {
  Solution solution;
  solution.feasible = incumbent_.exists();
  solution.infeasible = !solution.feasible && open_bound == kInfinity;
  solution.objective = incumbent_.objective();
  solution.bound = std::min(open_bound, incumbent_.objective());
  if (solution.feasible) solution.choice = incumbent_.choice();
  solution.prices = prices;
  solution.steps = steps_;
  solution.nodes = nodes_ + mix_nodes_;
  return solution;
}

// A bound on all plans that are open, and the plan it may find.
double Search::try_integer_program() {
  // A cutoff far above all plans is too coarse a unit to prove anything in.
  const bool has_unit = incumbent_.exists();
  const IntegerSolution found = solve_integer_program(
      chain_, root_restriction_, cutoff(), IntegerProgramLimits());
  if (found.has_choice) incumbent_.offer(found.choice);
  return has_unit ? found.bound : -kInfinity;
}

Solution Search::run(const Choice* start) {
  if (start != nullptr) incumbent_.offer(*start);
  const auto root = std::make_shared<Node>();
  search_root(root);
  if (is_closed(root->bound)) return finish(kInfinity, root->prices);
  // By other means than the branches below.
  double proven = -kInfinity;
  if (!is_small() && incumbent_.exists()) proven = search_by_mix(root);
  open_.push_back(root);
  bool tried = false;
  while (!open_.empty()) {
    const double least = std::max(open_.front()->bound, proven);
    if (is_closed(least)) break;
    if (!tried && limits_.integer_program && nodes_ >= kNodesBeforeProgram) {
      tried = true;
      // Of a chain that is not small the program takes longer than all that
      // comes before a gap counts as late.
      if (!is_small() && is_within(late_gap(), least)) {
        return finish(least, root->prices);
      }
      proven = std::max(proven, try_integer_program());
      continue;
    }
    if (is_near(least) || is_spent()) return finish(least, root->prices);
    branch_by_option(take_least());
  }
  return finish(kInfinity, root->prices);
}

Solution solve_chain(const Chain& chain, const SolveLimits& limits,
                     const Choice* start) {
  const auto solve = [&](const Chain& open) {
    return Search(open, limits).run(start);
  };
  return is_ring(chain) ? solve_ring(chain, solve) : solve(chain);
}

}  // namespace tessera::planner
