// SPDX-License-Identifier: Apache-2.0

#include "framework/planner/solver/ways.hpp"

#include <algorithm>

namespace tessera::planner {
namespace {

using Options = std::array<uint32_t, kNumPhases>;

struct Candidate {
  Options options;
  uint32_t place;
  Totals totals;
};

bool beats(const Candidate& a, const Candidate& b) {
  return a.place == b.place && no_worse(a.totals, b.totals);
}

class CandidateFinder {
 public:
  CandidateFinder(const Chain& chain, const States& states)
      : chain_(chain), states_(states) {}

  // Those of one kind that nothing beats, by place.
  std::vector<Candidate> find(const Item& item, WayKind kind) {
    found_.clear();
    if (kind == WayKind::kPair) {
      add_pairs(item);
    } else if (!item.one_resident) {
      add_singles(item, static_cast<uint32_t>(kind));
    }
    std::stable_sort(found_.begin(), found_.end(),
                     [](const Candidate& a, const Candidate& b) {
                       return a.place != b.place
                                  ? a.place < b.place
                                  : a.totals.cost < b.totals.cost;
                     });
    std::vector<Candidate> kept;
    for (Candidate& candidate : found_) {
      const bool beaten = std::any_of(
          kept.rbegin(), kept.rend(),
          [&](const Candidate& other) { return beats(other, candidate); });
      if (!beaten) kept.push_back(std::move(candidate));
    }
    return kept;
  }

 private:
  Totals empty_totals() const {
    return {0.0, std::vector<double>(chain_.rows.size()),
            std::vector<double>(chain_.rows.size())};
  }

  void add_pairs(const Item& item) {
    for (uint32_t a = item.option_begin[0]; a < item.option_end[0]; ++a) {
      const Option& prefill = chain_.options[a];
      if (prefill.resident == kNone) continue;
      for (uint32_t b = item.option_begin[1]; b < item.option_end[1]; ++b) {
        const Option& decode = chain_.options[b];
        const uint32_t state = states_.with(prefill.site, decode.site);
        if (decode.resident != prefill.resident || state == kNone) continue;
        Totals totals = empty_totals();
        add_charge(chain_, prefill.charge, totals);
        add_charge(chain_, decode.charge, totals);
        add_charge(chain_,
                   chain_.residents[item.resident_begin + prefill.resident],
                   totals);
        keep({a, b}, state, std::move(totals));
      }
    }
  }

  void add_singles(const Item& item, uint32_t phase) {
    for (uint32_t o = item.option_begin[phase]; o < item.option_end[phase];
         ++o) {
      const Option& option = chain_.options[o];
      Totals totals = empty_totals();
      add_charge(chain_, option.charge, totals);
      if (option.resident != kNone) {
        add_charge(chain_,
                   chain_.residents[item.resident_begin + option.resident],
                   totals);
      }
      Options options = {kNone, kNone};
      options[phase] = o;
      keep(options, option.site, std::move(totals));
    }
  }

  // Rows without a limit bind nothing, and need no price.
  void keep(Options options, uint32_t place, Totals totals) {
    for (size_t r = 0; r < chain_.rows.size(); ++r) {
      const Row& row = chain_.rows[r];
      if (row.kind == RowKind::kLoad || row.capacity < kInfinity) continue;
      totals.sums[r] = 0.0;
      totals.peaks[r] = 0.0;
    }
    found_.push_back({options, place, std::move(totals)});
  }

  const Chain& chain_;
  const States& states_;
  std::vector<Candidate> found_;
};

}  // namespace

Ways::Ways(const Chain& chain) {
  const States states(chain);
  first_place_ = {0, chain.num_sites, 2 * chain.num_sites};
  places_per_item_ = first_place_[2] + states.num();
  CandidateFinder finder(chain, states);
  all_.use_begin.push_back(0);
  for (const Item& item : chain.items) {
    for (uint32_t kind = 0; kind < kNumWayKinds; ++kind) {
      const uint32_t num_places = kind == static_cast<uint32_t>(WayKind::kPair)
                                      ? states.num()
                                      : chain.num_sites;
      const std::vector<Candidate> found = finder.find(item, WayKind{kind});
      auto next = found.begin();
      for (uint32_t place = 0; place < num_places; ++place) {
        all_.begin.push_back(static_cast<uint32_t>(all_.costs.size()));
        for (; next != found.end() && next->place == place; ++next) {
          add(next->options, next->totals);
        }
      }
    }
  }
  all_.begin.push_back(static_cast<uint32_t>(all_.costs.size()));
  open_ = all_;
  prices_.resize(open_.costs.size());
}

void Ways::add(const Options& options, const Totals& totals) {
  all_.options.push_back(options);
  all_.costs.push_back(totals.cost);
  for (uint32_t r = 0; r < totals.sums.size(); ++r) {
    if (totals.sums[r] != 0.0) all_.uses.push_back({r, totals.sums[r]});
  }
  all_.use_begin.push_back(static_cast<uint32_t>(all_.uses.size()));
}

void Ways::open(std::span<const uint8_t> option_out) {
  const auto is_out = [option_out](uint32_t option) {
    return option != kNone && option_out[option] != 0;
  };
  open_.options.clear();
  open_.costs.clear();
  open_.uses.clear();
  open_.use_begin.assign(1, 0);
  for (size_t k = 0; k + 1 < all_.begin.size(); ++k) {
    for (uint32_t w = all_.begin[k]; w < all_.begin[k + 1]; ++w) {
      const Options& options = all_.options[w];
      if (is_out(options[0]) || is_out(options[1])) continue;
      open_.options.push_back(options);
      open_.costs.push_back(all_.costs[w]);
      open_.uses.insert(open_.uses.end(), all_.uses.begin() + all_.use_begin[w],
                        all_.uses.begin() + all_.use_begin[w + 1]);
      open_.use_begin.push_back(static_cast<uint32_t>(open_.uses.size()));
    }
    open_.begin[k + 1] = static_cast<uint32_t>(open_.costs.size());
  }
  prices_.resize(open_.costs.size());
}

void Ways::price(double cost_weight, std::span<const double> prices) {
  const Use* use = open_.uses.data();
  for (size_t w = 0; w < open_.costs.size(); ++w) {
    const double cost = open_.costs[w];
    double total = cost == kInfinity ? kInfinity : cost_weight * cost;
    const Use* const end = open_.uses.data() + open_.use_begin[w + 1];
    for (; use != end; ++use) total += prices[use->row] * use->amount;
    prices_[w] = total;
  }
}

}  // namespace tessera::planner
