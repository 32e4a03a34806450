// SPDX-License-Identifier: Apache-2.0
//
// Branches of long chains: there single options decide nothing, but which sites
// are used, by how many segments, and how large buffers get.

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "framework/planner/solver/search.hpp"

namespace tessera::planner {
namespace {

// Steps of a branch that is weighed, and of one that is taken.
constexpr uint32_t kProbeCuts = 3;
constexpr uint32_t kBranchCuts = 40;

// Decisions that are weighed: the most promising.
constexpr size_t kMostProbed = 5;

// Of a mix, that is worth a look by itself.
constexpr double kLargePart = 0.2;

// Branches, and the share of the work left that they may take: the rest is for
// single options, which decide where mixes have nothing left to.
constexpr uint32_t kMostMixNodes = 400;
constexpr uint64_t kShareOfMixes = 2;

}  // namespace

// What a model of the child's bound hopes for, before any step.
double Search::promise_of(Node& child, const Restriction& restriction) const {
  PriceCuts cuts = model_of(child, restriction);
  if (child.known.empty()) return cutoff();
  cuts.next(0.0);
  return std::min(cuts.promise(), cutoff());
}

// Both branches of each decision that is open in the mix: the most promising
// ones first.
std::vector<std::array<Search::NodePtr, 2>> Search::promising_children(
    const NodePtr& node, const Restriction& restriction) {
  std::vector<std::pair<double, std::array<NodePtr, 2>>> rated;
  for (const Decision& decision :
       seen_.doubts(node->mix, row_prices(*node), restriction.peak_floor)) {
    std::array<NodePtr, 2> children;
    double score = 1.0;
    for (const bool keep : {true, false}) {
      NodePtr& child = children[keep ? 0 : 1];
      child = child_of(node, decision, keep);
      for (const uint32_t c : node->known) {
        if (seen_.agrees(c, child->decision)) child->known.push_back(c);
      }
      Restriction branch = restriction;
      apply(child->decision, branch);
      score *= gain_of(promise_of(*child, branch), *node);
    }
    rated.emplace_back(score, std::move(children));
  }
  std::stable_sort(
      rated.begin(), rated.end(),
      [](const auto& a, const auto& b) { return a.first > b.first; });
  std::vector<std::array<NodePtr, 2>> best;
  for (auto& [score, children] : rated) {
    if (best.size() < kMostProbed) best.push_back(std::move(children));
  }
  return best;
}

// At least a little, so that one side that gains nothing does not hide the
// other.
double Search::gain_of(double bound, const Node& node) const {
  return std::max(std::min(bound, cutoff()) - node.bound,
                  1e-6 * std::fabs(node.bound));
}

// False if the mix of choices that bounds the branch has nothing to decide.
bool Search::branch_by_mix(const NodePtr& node) {
  const Restriction restriction = restriction_of(*node);
  relaxation_.open(restriction);
  recall(*node, restriction);
  sharpen(*node, restriction, kBranchCuts);
  if (is_closed(node->bound)) return true;
  recall(*node, restriction);
  std::array<NodePtr, 2> best;
  double most = -1.0;
  for (std::array<NodePtr, 2>& children :
       promising_children(node, restriction)) {
    double score = 1.0;
    for (const NodePtr& child : children) {
      Restriction branch = restriction;
      apply(child->decision, branch);
      raise_floors(branch);
      relaxation_.open(branch);
      sharpen(*child, branch, kProbeCuts);
      score *= gain_of(child->bound, *node);
    }
    if (score <= most) continue;
    most = score;
    best = std::move(children);
  }
  node->known.clear();
  if (!best[0]) return false;
  for (NodePtr& child : best) settle_child(std::move(child));
  return true;
}

// Leaves nothing open.
//
// Returns  a bound on all plans that are better than the best one
double Search::search_by_mix(const NodePtr& root) {
  open_.push_back(root);
  const uint64_t left = limits_.max_work - std::min(limits_.max_work, work());
  const uint64_t most_work = work() + left / kShareOfMixes;
  double least = kInfinity;
  while (!open_.empty()) {
    const double bound = open_.front()->bound;
    const bool is_late =
        mix_nodes_ + nodes_ >= kMostMixNodes || work() >= most_work;
    if (is_late || is_closed(bound) || is_near(bound)) {
      least = bound;
      break;
    }
    const NodePtr node = take_least();
    if (!branch_by_mix(node)) branch_by_option(node);
  }
  open_.clear();
  return least;
}

// Looks for plans where large parts of the mix have their segments, and where
// most of it has each.
void Search::try_mix(const Node& node) {
  std::set<Sites> places;
  std::array<std::vector<double>, kNumPhases> shares;
  const size_t num_segments = chain_.segments.size();
  const uint32_t num_sites = chain_.num_sites;
  for (auto& of_phase : shares) of_phase.resize(num_segments * num_sites);
  for (const SeenChoices::Part& part : node.mix) {
    const Sites& sites = seen_.sites(part.choice);
    if (part.weight > kLargePart) places.insert(sites);
    for (uint32_t phase = 0; phase < kNumPhases; ++phase) {
      for (size_t g = 0; g < num_segments; ++g) {
        shares[phase][g * num_sites + sites[phase][g]] += part.weight;
      }
    }
  }
  Sites most;
  for (uint32_t phase = 0; phase < kNumPhases; ++phase) {
    for (size_t g = 0; g < num_segments; ++g) {
      const auto first =
          shares[phase].begin() + static_cast<int64_t>(g * num_sites);
      most[phase].push_back(static_cast<uint32_t>(
          std::max_element(first, first + num_sites) - first));
    }
  }
  places.insert(most);
  for (const Sites& sites : places) {
    if (!tried_sites_.insert(sites).second) continue;
    site_search_.try_sites(sites, row_prices(node));
  }
}

void Search::settle_child(NodePtr child) {
  ++mix_nodes_;
  Restriction restriction = restriction_of(*child);
  relaxation_.open(restriction);
  recall(*child, restriction);
  sharpen(*child, restriction, kBranchCuts);
  child->known.clear();
  if (is_closed(child->bound)) return;
  try_mix(*child);
  if (is_closed(child->bound)) return;
  open_later(std::move(child));
}

}  // namespace tessera::planner
