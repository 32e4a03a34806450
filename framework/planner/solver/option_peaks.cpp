// SPDX-License-Identifier: Apache-2.0

#include "framework/planner/solver/option_peaks.hpp"

#include <algorithm>

namespace tessera::planner {
namespace {

void add_peaks(const Chain& chain, const Charge& charge,
               std::vector<Use>& peaks) {
  for (uint32_t u = 0; u < charge.peaks.count; ++u) {
    const Use& use = chain.uses[charge.peaks.begin + u];
    if (use.amount > 0.0) peaks.push_back(use);
  }
}

// One use for each row, the largest, by rising rows.
void keep_largest(std::vector<Use>& peaks) {
  std::sort(peaks.begin(), peaks.end(), [](const Use& a, const Use& b) {
    return a.row != b.row ? a.row < b.row : a.amount > b.amount;
  });
  const auto same_row = [](const Use& a, const Use& b) {
    return a.row == b.row;
  };
  peaks.erase(std::unique(peaks.begin(), peaks.end(), same_row), peaks.end());
}

// What each option has held for it, as an index of the chain's residents.
std::vector<uint32_t> find_residents(const Chain& chain) {
  std::vector<uint32_t> residents(chain.options.size(), kNone);
  for (const Item& item : chain.items) {
    for (uint32_t phase = 0; phase < kNumPhases; ++phase) {
      for (uint32_t o = item.option_begin[phase]; o < item.option_end[phase];
           ++o) {
        const uint32_t resident = chain.options[o].resident;
        if (resident != kNone) residents[o] = item.resident_begin + resident;
      }
    }
  }
  return residents;
}

}  // namespace

OptionPeaks::OptionPeaks(const Chain& chain) {
  const std::vector<uint32_t> residents = find_residents(chain);
  std::vector<Use> peaks;
  begin_.push_back(0);
  for (size_t o = 0; o < chain.options.size(); ++o) {
    peaks.clear();
    add_peaks(chain, chain.options[o].charge, peaks);
    if (residents[o] != kNone) {
      add_peaks(chain, chain.residents[residents[o]], peaks);
    }
    keep_largest(peaks);
    peaks_.insert(peaks_.end(), peaks.begin(), peaks.end());
    begin_.push_back(peaks_.size());
  }
}

double OptionPeaks::of(uint32_t option, uint32_t row) const {
  for (const Use& use : of(option)) {
    if (use.row == row) return use.amount;
  }
  return 0.0;
}

}  // namespace tessera::planner
