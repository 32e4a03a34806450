// SPDX-License-Identifier: Apache-2.0
//
// Whom a screening goes on with.  It looks at hundreds of plans once, so its
// rules are wide and know no probabilities; how often they turn away a plan
// that is no slower is simulated, and docs/planner.md has the figure.

#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>

namespace tessera::cli {

// How plans are looked through, in one load each.
struct Screening {
  // Whoever takes so many times the first of them in a trial, a few steps of a
  // shorter prompt, does not run at all.
  double hopeless = 3.0;
  uint32_t rounds = 3;
  // Whoever takes so many times the first of them, its quickest run to that
  // one's slowest, runs no more.
  double gives_up = 1.5;
  // Of those looked through, the fastest run again: so many at most.
  size_t finalists = 8;
  // Who took so many times the plan's time is none, but for the fastest.
  double still_good = 1.15;
};

// What one plan's runs took so far.
struct RunRange {
  double quickest = std::numeric_limits<double>::infinity();
  double slowest = 0.0;

  void add(double ns) {
    quickest = std::min(quickest, ns);
    slowest = std::max(slowest, ns);
  }
};

// True if one trial run says enough: twice what would be hopeless.
inline bool is_beyond_doubt(const Screening& how, double ns, double own_least) {
  return ns > 2.0 * how.hopeless * own_least;
}

// least  the less of a plan's two trial runs; own_least: of the first plan's
inline bool is_hopeless(const Screening& how, double least, double own_least) {
  return least > how.hopeless * own_least;
}

inline bool gives_up(const Screening& how, const RunRange& one,
                     const RunRange& own) {
  return one.quickest > how.gives_up * own.slowest;
}

// How many of the fastest run again.
//
// ratios  of their times to the first plan's, in rising order
inline size_t num_finalists(const Screening& how, size_t most,
                            std::span<const double> ratios) {
  size_t count = 0;
  while (count < std::min(most, ratios.size()) &&
         (count == 0 || ratios[count] <= how.still_good)) {
    ++count;
  }
  return count;
}

}  // namespace tessera::cli
