// SPDX-License-Identifier: Apache-2.0
//
// Every way to run an item with all that it is charged, laid out to be priced
// again and again: most of a solver's time goes there.

#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "framework/planner/solver/chain.hpp"
#include "framework/planner/solver/states.hpp"

namespace tessera::planner {

// Whose options a way holds.
enum class WayKind : uint32_t {
  kPrefillAlone,  // with what is held for it; decode's is chosen apart
  kDecodeAlone,
  kPair,  // one for each phase, which share what is held
};

inline constexpr uint32_t kNumWayKinds = 3;

// Serves one chain, which outlives it.  Ways that another one of the same item,
// kind and place beats in every respect are never there.
class Ways {
 public:
  struct Range {
    uint32_t begin = 0;
    uint32_t end = 0;
  };

  // All ways are open.
  explicit Ways(const Chain& chain);

  // Keeps the ways whose options are not out.
  //
  // Requires  option_out by option
  void open(std::span<const uint8_t> option_out);

  // Prices what is open: cost_weight * cost + what the uses come to.
  void price(double cost_weight, std::span<const double> prices);

  // The open ways of an item at a place: a site of the phase, or a state for
  // those of both.  Valid until the next open().
  Range of(uint32_t item, WayKind kind, uint32_t place) const {
    const size_t at = size_t{item} * places_per_item_ +
                      first_place_[static_cast<uint32_t>(kind)] + place;
    return {open_.begin[at], open_.begin[at + 1]};
  }
  // By phase; kNone in the phase that a way leaves open.
  const std::array<uint32_t, kNumPhases>& options(uint32_t way) const {
    return open_.options[way];
  }
  double price_of(uint32_t way) const { return prices_[way]; }
  // The first of the cheapest; kNone if there is none.
  uint32_t cheapest(Range range) const {
    uint32_t best = kNone;
    double least = kInfinity;
    for (uint32_t w = range.begin; w < range.end; ++w) {
      if (prices_[w] >= least) continue;
      least = prices_[w];
      best = w;
    }
    return best;
  }
  double cost(uint32_t way) const { return open_.costs[way]; }
  std::span<const Use> uses(uint32_t way) const {
    return {open_.uses.data() + open_.use_begin[way],
            open_.uses.data() + open_.use_begin[size_t{way} + 1]};
  }
  size_t num_all() const { return all_.costs.size(); }
  uint32_t num_open() const {
    return static_cast<uint32_t>(open_.costs.size());
  }

 private:
  struct Table {
    std::vector<uint32_t> begin;  // [item][kind][place], and one more
    std::vector<std::array<uint32_t, kNumPhases>> options;
    std::vector<double> costs;
    std::vector<Use> uses;
    std::vector<uint32_t> use_begin;  // by way, and one more
  };

  void add(const std::array<uint32_t, kNumPhases>& options,
           const Totals& totals);

  std::array<uint32_t, kNumWayKinds> first_place_;
  uint32_t places_per_item_;
  Table all_;
  Table open_;
  std::vector<double> prices_;  // by open way
};

}  // namespace tessera::planner
