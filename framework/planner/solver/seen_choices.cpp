// SPDX-License-Identifier: Apache-2.0

#include "framework/planner/solver/seen_choices.hpp"

#include <algorithm>
#include <cmath>

namespace tessera::planner {
namespace {

// Parts of a mix that are smaller raise no doubt.
constexpr double kLeastDoubt = 0.02;

// Parts of the chain that are looked at by themselves.
constexpr size_t kParts = 4;

bool is_doubt(double share) {
  return share > kLeastDoubt && share < 1.0 - kLeastDoubt;
}

}  // namespace

uint32_t SeenChoices::add(const Choice& choice, const Totals& totals) {
  Entry entry{totals, choice.sites, {}, {}, {}};
  const uint32_t num_sites = chain_.num_sites;
  entry.used.assign(num_sites, 0);
  for (uint32_t phase = 0; phase < kNumPhases; ++phase) {
    entry.counts[phase].assign(size_t{kinds_.num()} * chain_.num_sites, 0);
    entry.crossings[phase].assign(size_t{num_sites} * num_sites, 0);
    const std::vector<uint32_t>& sites = choice.sites[phase];
    for (size_t g = 0; g < sites.size(); ++g) {
      entry.used[sites[g]] = 1;
      ++entry.counts[phase][kinds_.of(g) * num_sites + sites[g]];
      if (g == 0 || sites[g] == sites[g - 1]) continue;
      ++entry.crossings[phase][sites[g - 1] * num_sites + sites[g]];
    }
  }
  entries_.push_back(std::move(entry));
  return size() - 1;
}

std::vector<double> SeenChoices::uses(
    uint32_t choice, std::span<const CountLimit> counts) const {
  const Entry& entry = entries_[choice];
  std::vector<double> uses = entry.totals.sums;
  for (const CountLimit& limit : counts) {
    uses.push_back(limit.sign() * count(entry, limit));
  }
  return uses;
}

double SeenChoices::count(const Entry& entry, const CountLimit& limit) const {
  const uint32_t num_sites = chain_.num_sites;
  if (limit.kind != kNone) {
    return entry.counts[limit.phase][limit.kind * num_sites + limit.site];
  }
  uint32_t count = 0;
  for (uint32_t from = 0; from < num_sites; ++from) {
    if (!limit.counts(from, limit.site)) continue;
    count += entry.crossings[limit.phase][from * num_sites + limit.site];
  }
  return count;
}

bool SeenChoices::agrees(uint32_t choice, const Decision& decision) const {
  const Entry& entry = entries_[choice];
  switch (decision.kind) {
    case Decision::Kind::kOption:
    case Decision::Kind::kCount:
      return true;
    case Decision::Kind::kUse:
      return (entry.used[decision.index] != 0) == decision.keep;
    case Decision::Kind::kPeak:
      return decision.keep ||
             entry.totals.peaks[decision.index] < decision.level;
    case Decision::Kind::kSite: {
      const uint32_t segment = decision.index / chain_.num_sites;
      const bool is_there = entry.sites[decision.phase][segment] ==
                            decision.index % chain_.num_sites;
      return is_there == decision.keep;
    }
  }
  return true;
}

// Sites that only some of the mix use.
void SeenChoices::doubt_sites(std::span<const Part> mix,
                              std::vector<Decision>* out) const {
  for (uint32_t site = 0; site < chain_.num_sites; ++site) {
    double share = 0.0;
    for (const Part& part : mix) {
      if (entries_[part.choice].used[site] != 0) share += part.weight;
    }
    if (!is_doubt(share)) continue;
    out->push_back({Decision::Kind::kUse, 0, site, 0.0, true});
  }
}

// Peaks above what is charged: the least, and what half of the mix has.
void SeenChoices::doubt_peaks(std::span<const Part> mix,
                              std::span<const double> prices,
                              std::span<const double> floors,
                              std::vector<Decision>* out) const {
  for (uint32_t r = 0; r < chain_.rows.size(); ++r) {
    if (prices[r] == 0.0) continue;
    std::vector<std::pair<double, double>> levels;  // and their weights
    for (const Part& part : mix) {
      levels.emplace_back(entries_[part.choice].totals.peaks[r], part.weight);
    }
    std::sort(levels.begin(), levels.end());
    double above = 1.0;
    double last = 0.0;
    for (const auto& [level, weight] : levels) {
      const bool is_half = above > 0.5 && above - weight <= 0.5;
      above -= weight;
      if (level <= floors[r] || level == last) continue;
      if (last != 0.0 && !is_half) continue;
      last = level;
      out->push_back({Decision::Kind::kPeak, 0, r, level, true});
    }
  }
}

void SeenChoices::doubt_count(std::span<const Part> mix,
                              const CountLimit& limit,
                              std::vector<Decision>* out) const {
  double mean = 0.0;
  for (const Part& part : mix) {
    mean += part.weight * count(entries_[part.choice], limit);
  }
  if (!is_doubt(mean - std::floor(mean))) return;
  Decision doubt{Decision::Kind::kCount, limit.phase, 0, std::ceil(mean), true};
  doubt.count = limit;
  out->push_back(doubt);
}

// Numbers of segments, and of times that a site is gone to, that are not whole.
void SeenChoices::doubt_counts(std::span<const Part> mix, uint32_t phase,
                               std::vector<Decision>* out) const {
  CountLimit limit;
  limit.phase = phase;
  for (limit.site = 0; limit.site < chain_.num_sites; ++limit.site) {
    doubt_count(mix, limit, out);
    for (limit.kind = 0; limit.kind < kinds_.num(); ++limit.kind) {
      if (kinds_.size(limit.kind) > 1) doubt_count(mix, limit, out);
    }
    limit.kind = kNone;
    for (limit.from = 0; limit.from < chain_.num_sites; ++limit.from) {
      doubt_count(mix, limit, out);
    }
    limit.from = kNone;
  }
}

// In each part of the chain, the segment whose place is least clear.
void SeenChoices::doubt_segments(std::span<const Part> mix, uint32_t phase,
                                 std::vector<Decision>* out) const {
  const size_t num_segments = chain_.segments.size();
  std::vector<double> shares(chain_.num_sites);
  for (size_t part = 0; part < kParts; ++part) {
    double most_doubt = kLeastDoubt;
    Decision doubted;
    const size_t last = (part + 1) * num_segments / kParts;
    for (size_t g = part * num_segments / kParts; g < last; ++g) {
      std::fill(shares.begin(), shares.end(), 0.0);
      for (const Part& one : mix) {
        shares[entries_[one.choice].sites[phase][g]] += one.weight;
      }
      const auto most = std::max_element(shares.begin(), shares.end());
      if (1.0 - *most <= most_doubt) continue;
      most_doubt = 1.0 - *most;
      doubted = {Decision::Kind::kSite, phase,
                 static_cast<uint32_t>(g * chain_.num_sites) +
                     static_cast<uint32_t>(most - shares.begin()),
                 0.0, true};
    }
    if (most_doubt > kLeastDoubt) out->push_back(doubted);
  }
}

std::vector<Decision> SeenChoices::doubts(
    std::span<const Part> mix, std::span<const double> prices,
    std::span<const double> floors) const {
  std::vector<Decision> doubts;
  doubt_sites(mix, &doubts);
  doubt_peaks(mix, prices, floors, &doubts);
  const bool tied =
      std::all_of(chain_.segments.begin(), chain_.segments.end(),
                  [](const Segment& segment) { return segment.tied; });
  for (uint32_t phase = 0; phase < (tied ? 1 : kNumPhases); ++phase) {
    doubt_counts(mix, phase, &doubts);
    doubt_segments(mix, phase, &doubts);
  }
  return doubts;
}

}  // namespace tessera::planner
