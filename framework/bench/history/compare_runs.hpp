// SPDX-License-Identifier: Apache-2.0
//
// What became slower or faster from one run to another.

#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "framework/bench/history/run_record.hpp"

namespace tessera::bench {

struct CompareOptions {
  // Chance that any case is called changed where none is.
  double alpha = 0.05;
  // Share by which medians must differ to count, and the fastest tenths of the
  // samples too: what other processes do meanwhile moves medians, but seldom
  // the fastest samples.
  double min_change = 0.03;
};

enum class Verdict {
  kSame,
  kFaster,
  kSlower,
  kBroken,   // had figures, and has none now
  kUnclear,  // too few samples to tell, whatever they are
};

const char* verdict_name(Verdict verdict);

// One case that both runs have; times of a broken one are 0 where there is
// none.
struct CaseChange {
  std::string name;        // case_name()
  std::string metric;      // "op", "prefill", "decode"
  std::string command;     // that measures it again
  double before_ns = 0.0;  // medians
  double after_ns = 0.0;
  double before_fast_ns = 0.0;  // the first decile
  double after_fast_ns = 0.0;
  double p = 1.0;      // adjusted for the number of cases
  std::string reason;  // of a broken one
  Verdict verdict = Verdict::kSame;

  double ratio() const { return before_ns > 0.0 ? after_ns / before_ns : 0.0; }
  bool is_regression() const {
    return verdict == Verdict::kSlower || verdict == Verdict::kBroken;
  }
};

struct Comparison {
  std::vector<CaseChange> changes;  // in the order of `before`
  size_t only_before = 0;           // cases that the other run lacks
  size_t only_after = 0;
};

// A Mann-Whitney test of each case's samples, all corrected together as Holm
// does.  Simulated times have no spread: what differs enough is real.
Comparison compare_runs(const Json& before, const Json& after,
                        const CompareOptions& options);

}  // namespace tessera::bench
