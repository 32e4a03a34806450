// SPDX-License-Identifier: Apache-2.0
//
// Cheapest paths held to every path of small chains, with each set of sites
// that must be used.

#include "framework/planner/solver/site_paths.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>

#include "tests/unit/framework/planner/solver/random_chain.hpp"

namespace tessera::planner {
namespace {

using Path = std::vector<uint32_t>;  // states, by segment

class SitePathsTest : public ::testing::TestWithParam<double> {
 protected:
  SitePathsTest() : chain_(make_chain()), states_(chain_), paths_(chain_) {
    set_prices();
  }

  Chain make_chain() {
    ChainShape shape;
    shape.num_sites = 3;
    shape.num_segments = 4;
    shape.tied_share = GetParam();
    return random_chain(shape, rng_);
  }

  // Some states may not be.
  void set_prices() {
    std::uniform_real_distribution<double> price(0.0, 2.0);
    for (uint32_t g = 0; g < chain_.segments.size(); ++g) {
      for (double& value : paths_.segment_prices(g)) {
        value = rng_() % 5 == 0 ? kInfinity : price(rng_);
      }
    }
    for (size_t e = 0; e < chain_.edges.size(); ++e) {
      for (uint32_t phase = 0; phase < kNumPhases; ++phase) {
        for (double& one : paths_.edge_prices(e, phase)) one = price(rng_);
      }
    }
  }

  double price_of(const Path& path) {
    double sum = 0.0;
    for (uint32_t g = 0; g < path.size(); ++g) {
      sum += paths_.segment_prices(g)[path[g]];
      if (g == 0) continue;
      for (uint32_t phase = 0; phase < kNumPhases; ++phase) {
        const uint32_t from = states_.site(phase, path[g - 1]);
        const uint32_t to = states_.site(phase, path[g]);
        sum += paths_.edge_prices(chain_.segments[g - 1].edge,
                                  phase)[from * chain_.num_sites + to];
      }
    }
    return sum;
  }

  bool uses_all(const Path& path, const std::vector<uint8_t>& needed) const {
    for (uint32_t site = 0; site < needed.size(); ++site) {
      const bool is_used =
          std::any_of(path.begin(), path.end(), [&](uint32_t s) {
            return states_.site(0, s) == site || states_.site(1, s) == site;
          });
      if (needed[site] != 0 && !is_used) return false;
    }
    return true;
  }

  // The least of all paths, and of those with each state of each segment.
  struct Least {
    double of_all = kInfinity;
    std::vector<double> through;
  };

  Least try_all(const std::vector<uint8_t>& needed) {
    const size_t num_segments = chain_.segments.size();
    Least least;
    least.through.assign(num_segments * states_.num(), kInfinity);
    Path path(num_segments, 0);
    const auto count = static_cast<uint64_t>(
        std::pow(states_.num(), static_cast<double>(num_segments)));
    for (uint64_t i = 0; i < count; ++i) {
      uint64_t rest = i;
      for (uint32_t& state : path) {
        state = static_cast<uint32_t>(rest % states_.num());
        rest /= states_.num();
      }
      if (!uses_all(path, needed)) continue;
      const double price = price_of(path);
      least.of_all = std::min(least.of_all, price);
      for (size_t g = 0; g < num_segments; ++g) {
        double& through = least.through[g * states_.num() + path[g]];
        through = std::min(through, price);
      }
    }
    return least;
  }

  void hold_to_all(const std::vector<uint8_t>& needed) {
    const Least least = try_all(needed);
    paths_.need(needed);
    const double found = paths_.find();
    if (least.of_all == kInfinity) {
      EXPECT_EQ(found, kInfinity);
      return;
    }
    EXPECT_NEAR(found, least.of_all, 1e-12);
    Path path(chain_.segments.size());
    paths_.trace(path);
    EXPECT_NEAR(price_of(path), found, 1e-12);
    EXPECT_TRUE(uses_all(path, needed));
    paths_.find_ways();
    for (uint32_t g = 0; g < path.size(); ++g) {
      for (uint32_t s = 0; s < states_.num(); ++s) {
        const double through = least.through[size_t{g} * states_.num() + s];
        if (through == kInfinity) {
          EXPECT_EQ(paths_.through(g, s), kInfinity);
        } else {
          EXPECT_NEAR(paths_.through(g, s), through, 1e-12);
        }
      }
    }
  }

  std::mt19937 rng_{42};
  Chain chain_;
  States states_;
  SitePaths paths_;
};

TEST_P(SitePathsTest, AreTheCheapestThatUseWhatTheyMust) {
  for (int prices = 0; prices < 5; ++prices) {
    set_prices();
    for (uint32_t set = 0; set < 8; ++set) {
      hold_to_all({static_cast<uint8_t>(set & 1),
                   static_cast<uint8_t>(set >> 1 & 1),
                   static_cast<uint8_t>(set >> 2 & 1)});
    }
  }
}

INSTANTIATE_TEST_SUITE_P(TiedSegments, SitePathsTest,
                         testing::Values(0.0, 1.0));

}  // namespace
}  // namespace tessera::planner
