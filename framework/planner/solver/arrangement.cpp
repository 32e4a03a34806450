// SPDX-License-Identifier: Apache-2.0

#include "framework/planner/solver/arrangement.hpp"

#include <algorithm>
#include <cmath>

namespace tessera::planner {
namespace {

// Segments that change places together, besides whole runs.
constexpr uint32_t kLengths[] = {1, 2, 4, 8, 16, 32, 64, 128, 256};

// Two ends move alike only in arrangements of few runs: pairs are many.
constexpr size_t kMaxRunsForPairs = 11;
constexpr uint32_t kShifts[] = {1, 2, 4, 8, 16, 32, 64};

// A run is full with that part of a limit: peaks and transfers come on top.
constexpr double kFull = 0.975;

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

// What runs take of every limit, from sums over the segments before each.
class RunLoads {
 public:
  RunLoads(std::span<const uint32_t> states, const Bulks& bulks)
      : num_rows_(bulks.num_rows) {
    const size_t num_segments =
        bulks.parts.size() / (size_t{bulks.num_states} * num_rows_);
    for (const uint32_t state : states) {
      std::vector<double>& sums = sums_.emplace_back(num_rows_, 0.0);
      for (size_t g = 0; g < num_segments; ++g) {
        for (uint32_t r = 0; r < num_rows_; ++r) {
          const size_t at = (g * bulks.num_states + state) * num_rows_ + r;
          sums.push_back(sums[g * num_rows_ + r] + bulks.parts[at]);
        }
      }
    }
  }

  // The largest part of a limit that segments begin .. end - 1 take as run k.
  double of(size_t k, uint32_t begin, uint32_t end) const {
    double load = 0.0;
    for (uint32_t r = 0; r < num_rows_; ++r) {
      load = std::max(load, sums_[k][size_t{end} * num_rows_ + r] -
                                sums_[k][size_t{begin} * num_rows_ + r]);
    }
    return load;
  }

 private:
  uint32_t num_rows_;
  std::vector<std::vector<double>> sums_;  // by run, then segment and row
};

// Shifts the ends of runs until none is overfull, as far as that goes.
void balance(std::span<const uint32_t> states, const Bulks& bulks,
             std::vector<uint32_t>& ends) {
  const RunLoads run_loads(states, bulks);
  for (uint32_t step = 0; step < ends.back(); ++step) {
    size_t fullest = 0;
    size_t emptiest = 0;
    std::vector<double> loads;
    for (size_t k = 0; k < states.size(); ++k) {
      const uint32_t begin = k == 0 ? 0 : ends[k - 1];
      loads.push_back(run_loads.of(k, begin, ends[k]));
      if (loads[k] > loads[fullest]) fullest = k;
      if (loads[k] < loads[emptiest]) emptiest = k;
    }
    if (loads[fullest] <= kFull || loads[emptiest] > kFull) return;
    for (size_t k = fullest; k < emptiest; ++k) --ends[k];
    for (size_t k = emptiest; k < fullest; ++k) ++ends[k];
  }
}

}  // namespace

std::vector<Arrangement> neighbors_of(const Arrangement& states,
                                      uint32_t num_states) {
  return NeighborFinder(states, num_states).find();
}

Arrangement runs_in_order(std::span<const uint32_t> states,
                          std::span<const double> shares, const Bulks& bulks) {
  const size_t num_segments =
      bulks.parts.size() / (size_t{bulks.num_states} * bulks.num_rows);
  double whole = 0.0;
  for (const uint32_t s : states) whole += shares[s];
  std::vector<uint32_t> ends;
  double sum = 0.0;
  for (const uint32_t s : states) {
    sum += shares[s];
    ends.push_back(static_cast<uint32_t>(
        std::lround(sum / whole * static_cast<double>(num_segments))));
  }
  balance(states, bulks, ends);
  Arrangement arrangement;
  for (size_t k = 0; k < states.size(); ++k) {
    arrangement.resize(ends[k], states[k]);
  }
  return arrangement;
}

}  // namespace tessera::planner
