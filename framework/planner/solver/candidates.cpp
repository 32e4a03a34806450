// SPDX-License-Identifier: Apache-2.0

#include "framework/planner/solver/candidates.hpp"

#include <algorithm>

namespace tessera::planner {
namespace {

// Parts of the chain that are looked at by themselves.
constexpr size_t kParts = 6;

}  // namespace

void add_doubted_options(const Chain& chain, const Restriction& restriction,
                         const ChoiceCounts& counts,
                         std::vector<Decision>* out) {
  const size_t num_segments = chain.segments.size();
  for (size_t part = 0; part < kParts; ++part) {
    uint32_t most = 0;
    Decision doubted;
    const size_t first = part * num_segments / kParts;
    const size_t last = (part + 1) * num_segments / kParts;
    if (first == last) continue;
    const uint32_t item_end = chain.segments[last - 1].item_end;
    for (uint32_t i = chain.segments[first].item_begin; i < item_end; ++i) {
      for (uint32_t phase = 0; phase < kNumPhases; ++phase) {
        for (uint32_t o = chain.items[i].option_begin[phase];
             o < chain.items[i].option_end[phase]; ++o) {
          const uint32_t count = counts.options[o];
          const uint32_t doubt = std::min(count, counts.steps - count);
          if (doubt <= most || restriction.option_out[o] != 0) continue;
          most = doubt;
          doubted = {Decision::Kind::kOption, phase, o, 0.0, true};
        }
      }
    }
    if (most > 0) out->push_back(doubted);
  }
}

void add_peaks(const OptionPeaks& peaks, const Restriction& restriction,
               const ChoiceCounts& counts, std::span<const double> prices,
               std::vector<Decision>* out) {
  std::vector<std::vector<double>> levels(prices.size());
  for (uint32_t o = 0; o < counts.options.size(); ++o) {
    if (counts.options[o] == 0 || restriction.option_out[o] != 0) continue;
    for (const Use& use : peaks.of(o)) {
      if (prices[use.row] == 0.0) continue;
      if (use.amount <= restriction.peak_floor[use.row]) continue;
      levels[use.row].push_back(use.amount);
    }
  }
  for (uint32_t r = 0; r < levels.size(); ++r) {
    if (levels[r].empty()) continue;
    std::sort(levels[r].begin(), levels[r].end());
    const double middle = levels[r][levels[r].size() / 2];
    const double most = levels[r].back();
    out->push_back({Decision::Kind::kPeak, 0, r, middle, false});
    if (most == middle) continue;
    out->push_back({Decision::Kind::kPeak, 0, r, most, false});
  }
}

void add_movable_segments(const Chain& chain, const Restriction& restriction,
                          const Relaxation& relaxation, double cutoff,
                          std::vector<Decision>* out) {
  const size_t num_segments = chain.segments.size();
  for (size_t part = 0; part < kParts; ++part) {
    double nearest = cutoff;
    Decision movable;
    const size_t last = (part + 1) * num_segments / kParts;
    for (size_t g = part * num_segments / kParts; g < last; ++g) {
      const uint32_t num_phases = chain.segments[g].tied ? 1 : kNumPhases;
      for (uint32_t phase = 0; phase < num_phases; ++phase) {
        for (uint32_t s = 0; s < chain.num_sites; ++s) {
          const auto index = static_cast<uint32_t>(g * chain.num_sites + s);
          if (s == relaxation.choice().sites[phase][g]) continue;
          if (restriction.site_out[phase][index] != 0) continue;
          const double least =
              relaxation.least_at(static_cast<uint32_t>(g), phase, s);
          if (least >= nearest) continue;
          nearest = least;
          movable = {Decision::Kind::kSite, phase, index, 0.0, true};
        }
      }
    }
    if (nearest < cutoff) out->push_back(movable);
  }
}

bool find_open(const Chain& chain, const Restriction& restriction,
               const Choice& choice, Decision* out) {
  const auto num_open = [](const std::vector<uint8_t>& is_out, size_t begin,
                           size_t end) {
    size_t num = 0;
    for (size_t k = begin; k < end; ++k) num += is_out[k] == 0 ? 1 : 0;
    return num;
  };
  for (uint32_t phase = 0; phase < kNumPhases; ++phase) {
    for (uint32_t g = 0; g < chain.segments.size(); ++g) {
      const uint32_t first = g * chain.num_sites;
      if (num_open(restriction.site_out[phase], first,
                   first + chain.num_sites) < 2) {
        continue;
      }
      *out = {Decision::Kind::kSite, phase, first + choice.sites[phase][g], 0.0,
              true};
      return true;
    }
    for (uint32_t i = 0; i < chain.items.size(); ++i) {
      const Item& item = chain.items[i];
      if (num_open(restriction.option_out, item.option_begin[phase],
                   item.option_end[phase]) < 2) {
        continue;
      }
      *out = {Decision::Kind::kOption, phase, choice.options[phase][i], 0.0,
              true};
      return true;
    }
  }
  return false;
}

}  // namespace tessera::planner
