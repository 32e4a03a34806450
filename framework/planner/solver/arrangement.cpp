// SPDX-License-Identifier: Apache-2.0

#include "framework/planner/solver/arrangement.hpp"

#include <algorithm>

#include "framework/planner/solver/chain.hpp"

namespace tessera::planner {
namespace {

// Segments that change places together, besides whole runs.
constexpr uint32_t kLengths[] = {1, 2, 4, 8, 16, 32, 64, 128, 256};

// Two ends move alike only in arrangements of few runs: pairs are many.
constexpr size_t kMaxRunsForPairs = 11;
constexpr uint32_t kShifts[] = {1, 2, 4, 8, 16, 32, 64};

class NeighborFinder {
 public:
  NeighborFinder(const Arrangement& states, uint32_t num_states)
      : states_(states), num_states_(num_states) {
    for (uint32_t g = 1; g <= states.size(); ++g) {
      const bool ends = g == states.size() || states[g] != states[g - 1];
      if (ends) ends_.push_back(g);
    }
  }

  std::vector<Arrangement> find() {
    for (size_t run = 0; run < ends_.size(); ++run) move_from_run(run);
    if (ends_.size() <= kMaxRunsForPairs) {
      for (size_t a = 0; a + 1 < ends_.size(); ++a) {
        for (size_t b = a + 1; b + 1 < ends_.size(); ++b) shift_both(a, b);
      }
    }
    return std::move(found_);
  }

 private:
  uint32_t begin_of(size_t run) const { return run == 0 ? 0 : ends_[run - 1]; }

  void add(uint32_t begin, uint32_t end, uint32_t state) {
    found_.push_back(states_);
    std::fill(found_.back().begin() + begin, found_.back().begin() + end,
              state);
  }

  void move_from_run(size_t run) {
    const uint32_t begin = begin_of(run);
    const uint32_t end = ends_[run];
    for (uint32_t s = 0; s < num_states_; ++s) {
      if (s == states_[begin]) continue;
      add(begin, end, s);
      for (const uint32_t length : kLengths) {
        if (length >= end - begin) break;
        add(begin, begin + length, s);
        add(end - length, end, s);
      }
    }
  }

  // The ends of runs a and b, a < b, both later or both earlier; the runs that
  // lose keep a segment.
  void shift_both(size_t a, size_t b) {
    for (const uint32_t length : kShifts) {
      if (ends_[a] + length < ends_[a + 1] &&
          ends_[b] + length < ends_[b + 1]) {
        found_.push_back(states_);
        put(ends_[a], ends_[a] + length, states_[begin_of(a)]);
        put(ends_[b], ends_[b] + length, states_[begin_of(b)]);
      }
      if (ends_[a] > begin_of(a) + length && ends_[b] > begin_of(b) + length) {
        found_.push_back(states_);
        put(ends_[a] - length, ends_[a], states_[ends_[a]]);
        put(ends_[b] - length, ends_[b], states_[ends_[b]]);
      }
    }
  }

  void put(uint32_t begin, uint32_t end, uint32_t state) {
    std::fill(found_.back().begin() + begin, found_.back().begin() + end,
              state);
  }

  const Arrangement& states_;
  uint32_t num_states_;
  std::vector<uint32_t> ends_;  // of runs
  std::vector<Arrangement> found_;
};

}  // namespace

std::vector<Arrangement> neighbors_of(const Arrangement& states,
                                      uint32_t num_states) {
  return NeighborFinder(states, num_states).find();
}

double price_of(const PriceTable& table, const Arrangement& states) {
  double price = 0.0;
  for (size_t g = 0; g < states.size(); ++g) {
    price += table.of(g, states[g]);
    if (g + 1 < states.size()) price += table.edge(g, states[g], states[g + 1]);
  }
  return price;
}

std::vector<uint32_t> order_of(const Arrangement& states) {
  std::vector<uint32_t> order = states;
  order.erase(std::unique(order.begin(), order.end()), order.end());
  return order;
}

Runs cheapest_runs(const PriceTable& table, std::span<const uint32_t> order) {
  const size_t num_runs = order.size();
  const size_t num_segments = table.segments.size() / table.num_states;
  // Of the cheapest way to each segment in each run; whether the run begins.
  std::vector<double> here(num_runs, kInfinity);
  std::vector<uint8_t> begins(num_segments * num_runs, 0);
  here[0] = table.of(0, order[0]);
  for (size_t g = 1; g < num_segments; ++g) {
    for (size_t p = num_runs; p-- > 0;) {
      double least = here[p] + table.edge(g - 1, order[p], order[p]);
      if (p > 0) {
        const double entering =
            here[p - 1] + table.edge(g - 1, order[p - 1], order[p]);
        begins[g * num_runs + p] = entering < least ? 1 : 0;
        least = std::min(least, entering);
      }
      here[p] = least + table.of(g, order[p]);
    }
  }
  Runs runs{here.back(), std::vector<uint32_t>(num_runs)};
  if (runs.price == kInfinity) return runs;
  runs.ends.back() = static_cast<uint32_t>(num_segments);
  size_t run = num_runs - 1;
  for (size_t g = num_segments; run > 0; --g) {
    if (begins[(g - 1) * num_runs + run] == 0) continue;
    runs.ends[--run] = static_cast<uint32_t>(g - 1);
  }
  return runs;
}

Arrangement arrange(std::span<const uint32_t> order,
                    std::span<const uint32_t> ends) {
  Arrangement states;
  for (size_t p = 0; p < order.size(); ++p) states.resize(ends[p], order[p]);
  return states;
}

}  // namespace tessera::planner
