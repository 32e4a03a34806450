// SPDX-License-Identifier: Apache-2.0

#include "framework/planner/solver/site_paths.hpp"

#include <algorithm>

namespace tessera::planner {
namespace {

// Sites that paths must use, at most.
constexpr uint32_t kMaxNeeded = 6;

}  // namespace

SitePaths::SitePaths(const Chain& chain)
    : chain_(chain), states_(chain), num_states_(states_.num()) {
  edge_price_.resize(chain.edges.size());
  for (auto& edge : edge_price_) {
    for (auto& phase : edge) {
      phase.resize(size_t{chain.num_sites} * chain.num_sites);
    }
  }
  value_.resize(chain.segments.size() * num_states_);
  through_.resize(value_.size());
  between_.resize(num_states_);
  need({});
}

void SitePaths::need(std::span<const uint8_t> needed) {
  std::vector<uint32_t> bit_of(chain_.num_sites, 0);
  num_used_ = 1;
  for (uint32_t site = 0; site < needed.size(); ++site) {
    if (needed[site] == 0 || num_used_ >= 1U << kMaxNeeded) continue;
    bit_of[site] = num_used_;
    num_used_ *= 2;
  }
  used_by_.assign(num_states_, 0);
  for (uint32_t s = 0; s < num_states_; ++s) {
    for (uint32_t phase = 0; phase < kNumPhases; ++phase) {
      used_by_[s] |= bit_of[states_.site(phase, s)];
    }
  }
  forward_.resize(value_.size() * num_used_);
  backward_.resize(forward_.size());
}

double SitePaths::edge_price(uint32_t edge, uint32_t from, uint32_t to) const {
  const auto& prices = edge_price_[edge];
  return prices[0][states_.site(0, from) * chain_.num_sites +
                   states_.site(0, to)] +
         prices[1]
               [states_.site(1, from) * chain_.num_sites + states_.site(1, to)];
}

// to[s] = min over t of from[t] + edge(t, s), or of edge(s, t) backwards.  The
// phases' edges add up, so where sites differ each is taken by itself.
void SitePaths::pass(const double* from, uint32_t edge, double* to,
                     bool forward) const {
  const uint32_t num_sites = chain_.num_sites;
  const auto& prices = edge_price_[edge];
  std::fill(to, to + num_states_, kInfinity);
  if (states_.all_tied()) {
    for (uint32_t t = 0; t < num_states_; ++t) {
      if (from[t] == kInfinity) continue;
      for (uint32_t s = 0; s < num_states_; ++s) {
        const uint32_t at = forward ? t * num_sites + s : s * num_sites + t;
        to[s] = std::min(to[s], from[t] + (prices[0][at] + prices[1][at]));
      }
    }
    return;
  }
  std::fill(between_.begin(), between_.end(), kInfinity);
  for (uint32_t p = 0; p < num_sites; ++p) {
    for (uint32_t q = 0; q < num_sites; ++q) {
      const double price =
          prices[0][forward ? p * num_sites + q : q * num_sites + p];
      for (uint32_t d = 0; d < num_sites; ++d) {
        double& best = between_[q * num_sites + d];
        best = std::min(best, from[p * num_sites + d] + price);
      }
    }
  }
  for (uint32_t d = 0; d < num_sites; ++d) {
    for (uint32_t e = 0; e < num_sites; ++e) {
      const double price =
          prices[1][forward ? d * num_sites + e : e * num_sites + d];
      for (uint32_t p = 0; p < num_sites; ++p) {
        double& best = to[p * num_sites + e];
        best = std::min(best, between_[p * num_sites + d] + price);
      }
    }
  }
}

double SitePaths::find() {
  const size_t num_segments = chain_.segments.size();
  std::fill(forward_.begin(), forward_.end(), kInfinity);
  for (uint32_t s = 0; s < num_states_; ++s) {
    forward_[at(0, used_by_[s]) + s] = value_[s];
  }
  std::vector<double> arrival(num_states_);
  for (size_t g = 1; g < num_segments; ++g) {
    const double* value = &value_[g * num_states_];
    for (uint32_t used = 0; used < num_used_; ++used) {
      pass(&forward_[at(g - 1, used)], chain_.segments[g - 1].edge,
           arrival.data(), true);
      for (uint32_t s = 0; s < num_states_; ++s) {
        double& here = forward_[at(g, used | used_by_[s]) + s];
        here = std::min(here, arrival[s] + value[s]);
      }
    }
  }
  const double* last = &forward_[at(num_segments - 1, num_used_ - 1)];
  return *std::min_element(last, last + num_states_);
}

// From a state of `segment` to the one before it on a cheapest path.
void SitePaths::step_back(size_t segment, uint32_t& state,
                          uint32_t& used) const {
  const uint32_t edge = chain_.segments[segment - 1].edge;
  const uint32_t own = used_by_[state];
  double least = kInfinity;
  uint32_t best = 0;
  uint32_t best_used = used;
  for (uint32_t before = 0; before < num_used_; ++before) {
    if ((before | own) != used) continue;
    for (uint32_t s = 0; s < num_states_; ++s) {
      const double price =
          forward_[at(segment - 1, before) + s] + edge_price(edge, s, state);
      if (price >= least) continue;
      least = price;
      best = s;
      best_used = before;
    }
  }
  state = best;
  used = best_used;
}

void SitePaths::trace(std::span<uint32_t> out_states) const {
  const size_t num_segments = chain_.segments.size();
  uint32_t used = num_used_ - 1;
  const double* last = &forward_[at(num_segments - 1, used)];
  auto state =
      static_cast<uint32_t>(std::min_element(last, last + num_states_) - last);
  for (size_t g = num_segments; g-- > 0;) {
    out_states[g] = state;
    if (g > 0) step_back(g, state, used);
  }
}

double SitePaths::onwards(uint32_t segment, uint32_t state,
                          uint32_t used) const {
  return value_[size_t{segment} * num_states_ + state] +
         backward_[at(segment, used | used_by_[state]) + state];
}

void SitePaths::find_ways() {
  const size_t num_segments = chain_.segments.size();
  std::vector<double> next(num_states_);
  for (size_t g = num_segments; g-- > 0;) {
    double* through = &through_[g * num_states_];
    std::fill(through, through + num_states_, kInfinity);
    for (uint32_t used = 0; used < num_used_; ++used) {
      double* behind = &backward_[at(g, used)];
      if (g + 1 == num_segments) {
        const bool is_through = used + 1 == num_used_;
        std::fill_n(behind, num_states_, kInfinity);
        if (is_through) std::fill_n(behind, num_states_, 0.0);
      } else {
        for (uint32_t s = 0; s < num_states_; ++s) {
          next[s] = onwards(static_cast<uint32_t>(g + 1), s, used);
        }
        pass(next.data(), chain_.segments[g].edge, behind, false);
      }
      const double* before = &forward_[at(g, used)];
      for (uint32_t s = 0; s < num_states_; ++s) {
        through[s] = std::min(through[s], before[s] + behind[s]);
      }
    }
  }
}

}  // namespace tessera::planner
