// SPDX-License-Identifier: Apache-2.0

#include "framework/planner/solver/ways.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "framework/planner/solver/option_peaks.hpp"
#include "tests/unit/framework/planner/solver/random_chain.hpp"

namespace tessera::planner {
namespace {

double priced(const Totals& totals, const std::vector<double>& prices) {
  double sum = totals.cost;
  for (size_t r = 0; r < prices.size(); ++r) {
    sum += prices[r] * totals.sums[r];
  }
  return sum;
}

// The least that any two options of `item` cost at these sites.
double least_of_all(const Chain& chain, const Item& item, uint32_t index,
                    std::array<uint32_t, 2> sites,
                    const std::vector<double>& prices) {
  double least = kInfinity;
  for (uint32_t a = item.option_begin[0]; a < item.option_end[0]; ++a) {
    for (uint32_t b = item.option_begin[1]; b < item.option_end[1]; ++b) {
      if (chain.options[a].site != sites[0]) continue;
      if (chain.options[b].site != sites[1]) continue;
      const bool same = chain.options[a].resident == chain.options[b].resident;
      if (item.one_resident && !same) continue;
      Totals totals{0.0, std::vector<double>(chain.rows.size()),
                    std::vector<double>(chain.rows.size())};
      charge_item(chain, index, a, b, totals);
      least = std::min(least, priced(totals, prices));
    }
  }
  return least;
}

double least_of_ways(const Ways& ways, const States& states, uint32_t item,
                     uint32_t state) {
  const auto price = [&](WayKind kind, uint32_t place) {
    const uint32_t way = ways.cheapest(ways.of(item, kind, place));
    return way == kNone ? kInfinity : ways.price_of(way);
  };
  const double apart = price(WayKind::kPrefillAlone, states.site(0, state)) +
                       price(WayKind::kDecodeAlone, states.site(1, state));
  return std::min(apart, price(WayKind::kPair, state));
}

TEST(Ways, HoldTheCheapestOptionsAtAnyPrices) {
  std::mt19937 rng(42);
  std::uniform_real_distribution<double> price(0.0, 2.0);
  ChainShape shape;
  shape.num_sites = 3;
  shape.num_schemes = 3;
  for (uint32_t instance = 0; instance < 60; ++instance) {
    shape.tied_share = instance % 3 == 0 ? 1.0 : 0.5;
    const Chain chain = random_chain(shape, rng);
    const States states(chain);
    Ways ways(chain);
    std::vector<double> prices(chain.rows.size());
    for (size_t r = 0; r < prices.size(); ++r) {
      if (chain.rows[r].capacity < kInfinity) prices[r] = price(rng);
    }
    ways.price(1.0, prices);
    for (uint32_t i = 0; i < chain.items.size(); ++i) {
      for (uint32_t s = 0; s < states.num(); ++s) {
        const double exact =
            least_of_all(chain, chain.items[i], i,
                         {states.site(0, s), states.site(1, s)}, prices);
        const double found = least_of_ways(ways, states, i, s);
        if (exact == kInfinity) {
          EXPECT_EQ(found, kInfinity);
        } else {
          // Sums of a few doubles, added in another order.
          EXPECT_NEAR(found, exact, 1e-12 * (1.0 + exact));
        }
      }
    }
  }
}

TEST(Ways, OpenLeavesOutWhatIsOut) {
  std::mt19937 rng(42);
  const Chain chain = random_chain({}, rng);
  Ways ways(chain);
  const uint32_t all = ways.num_open();
  std::vector<uint8_t> out(chain.options.size(), 0);
  out[0] = 1;
  ways.open(out);
  for (uint32_t w = 0; w < ways.num_open(); ++w) {
    EXPECT_NE(ways.options(w)[0], 0U);
  }
  out[0] = 0;
  ways.open(out);
  EXPECT_EQ(ways.num_open(), all) << "what was out comes back";
  std::fill(out.begin(), out.end(), uint8_t{1});
  ways.open(out);
  EXPECT_EQ(ways.num_open(), 0U);
}

TEST(OptionPeaks, CountWhatIsHeldToo) {
  Chain chain;
  chain.num_sites = 1;
  chain.rows = {{"memory", RowKind::kLimit, 10.0},
                {"scratch", RowKind::kLimit, 10.0}};
  Option option;
  option.resident = 0;
  option.charge.peaks = chain.add_uses({{0, 2.0}, {1, 1.0}});
  Charge held;
  held.peaks = chain.add_uses({{0, 5.0}});
  chain.residents.push_back(held);
  chain.options = {option, Option()};
  Item item;
  item.option_end = {1, 2};
  item.option_begin = {0, 1};
  item.resident_end = 1;
  chain.items.push_back(item);
  const OptionPeaks peaks(chain);
  EXPECT_EQ(peaks.of(0, 0), 5.0) << "the larger of both";
  EXPECT_EQ(peaks.of(0, 1), 1.0);
  EXPECT_EQ(peaks.of(1, 0), 0.0);
  EXPECT_TRUE(peaks.of(1).empty());
}

}  // namespace
}  // namespace tessera::planner
