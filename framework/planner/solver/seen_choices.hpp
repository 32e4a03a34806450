// SPDX-License-Identifier: Apache-2.0
//
// Choices that a relaxation came by: what is known of each bounds every branch
// that it belongs to, and a mix of them says what a branch is undecided about.

#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "framework/planner/solver/candidates.hpp"
#include "framework/planner/solver/chain.hpp"
#include "framework/planner/solver/segment_kinds.hpp"

namespace tessera::planner {

// Serves one chain, which outlives it.
class SeenChoices {
 public:
  explicit SeenChoices(const Chain& chain) : chain_(chain), kinds_(chain) {}

  // The parts of a mix sum to 1.
  struct Part {
    uint32_t choice = 0;
    double weight = 0.0;
  };

  // Returns the choice's index.
  uint32_t add(const Choice& choice, const Totals& totals);
  uint32_t size() const { return static_cast<uint32_t>(entries_.size()); }

  const SegmentKinds& kinds() const { return kinds_; }
  double cost(uint32_t choice) const { return entries_[choice].totals.cost; }
  // What it uses: by row, then by limit of a count.
  std::vector<double> uses(uint32_t choice,
                           std::span<const CountLimit> counts) const;
  // Whether it keeps to a decision; always true of kOption and kCount.
  bool agrees(uint32_t choice, const Decision& decision) const;
  // Where its segments are.
  const Sites& sites(uint32_t choice) const { return entries_[choice].sites; }

  // What the parts of a mix differ about.
  //
  // prices  by row
  // floors  by row: peaks that are charged anyway
  std::vector<Decision> doubts(std::span<const Part> mix,
                               std::span<const double> prices,
                               std::span<const double> floors) const;

 private:
  struct Entry {
    Totals totals;
    Sites sites;
    std::vector<uint8_t> used;  // by site
    // [phase][kind * num_sites + site]
    std::array<std::vector<uint32_t>, kNumPhases> counts;
    // How often a phase goes there: [phase][from * num_sites + to]
    std::array<std::vector<uint32_t>, kNumPhases> crossings;
  };

  double count(const Entry& entry, const CountLimit& limit) const;
  void doubt_sites(std::span<const Part> mix, std::vector<Decision>* out) const;
  void doubt_peaks(std::span<const Part> mix, std::span<const double> prices,
                   std::span<const double> floors,
                   std::vector<Decision>* out) const;
  void doubt_count(std::span<const Part> mix, const CountLimit& count,
                   std::vector<Decision>* out) const;
  void doubt_counts(std::span<const Part> mix, uint32_t phase,
                    std::vector<Decision>* out) const;
  void doubt_segments(std::span<const Part> mix, uint32_t phase,
                      std::vector<Decision>* out) const;

  const Chain& chain_;
  SegmentKinds kinds_;
  std::vector<Entry> entries_;
};

}  // namespace tessera::planner
