// SPDX-License-Identifier: Apache-2.0

#include "framework/planner/solver/arrangement.hpp"

#include <gmock/gmock.h>

#include <algorithm>
#include <functional>
#include <random>
#include <vector>

#include "framework/planner/solver/chain.hpp"

namespace tessera::planner {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::Not;

PriceTable random_table(uint32_t num_segments, uint32_t num_states,
                        std::mt19937& rng) {
  std::uniform_real_distribution<double> price(0.0, 10.0);
  PriceTable table;
  table.num_states = num_states;
  for (uint32_t k = 0; k < num_segments * num_states; ++k) {
    // Some segments cannot be everywhere.
    table.segments.push_back(rng() % 5 == 0 ? kInfinity : price(rng));
  }
  for (uint32_t g = 0; g + 1 < num_segments; ++g) {
    table.edge_of.push_back(g % 2);
  }
  for (uint32_t k = 0; k < 2 * num_states * num_states; ++k) {
    table.edges.push_back(price(rng));
  }
  return table;
}

// The least of all ways to cut num_segments into the runs of `order`.
double least_of_all(const PriceTable& table, const std::vector<uint32_t>& order,
                    uint32_t num_segments) {
  double least = kInfinity;
  std::vector<uint32_t> ends(order.size());
  const std::function<void(size_t)> choose_end = [&](size_t run) {
    const uint32_t begin = run == 0 ? 0 : ends[run - 1];
    if (run + 1 == order.size()) {
      if (begin >= num_segments) return;
      ends[run] = num_segments;
      least = std::min(least, price_of(table, arrange(order, ends)));
      return;
    }
    for (ends[run] = begin + 1; ends[run] < num_segments; ++ends[run]) {
      choose_end(run + 1);
    }
  };
  choose_end(0);
  return least;
}

TEST(Neighbors, MoveEndsOfRunsAndWholeRuns) {
  const auto found = neighbors_of({0, 0, 0, 1}, 2);
  EXPECT_THAT(found, Contains(ElementsAre(1, 1, 1, 1)));
  EXPECT_THAT(found, Contains(ElementsAre(1, 0, 0, 1)));
  EXPECT_THAT(found, Contains(ElementsAre(0, 0, 1, 1)));
  EXPECT_THAT(found, Contains(ElementsAre(0, 1, 1, 1)));
  EXPECT_THAT(found, Contains(ElementsAre(0, 0, 0, 0)));
  EXPECT_THAT(found, Not(Contains(ElementsAre(0, 1, 0, 1))))
      << "only stretches at the ends of runs move";
}

TEST(Neighbors, ShiftTwoEndsAlike) {
  const auto found = neighbors_of({0, 0, 1, 1, 2, 2}, 3);
  EXPECT_THAT(found, Contains(ElementsAre(0, 0, 0, 1, 1, 2)));
  EXPECT_THAT(found, Contains(ElementsAre(0, 1, 1, 2, 2, 2)));
}

TEST(Neighbors, KeepLengthAndStates) {
  for (const Arrangement& states :
       {Arrangement{0}, Arrangement{2, 2, 2}, Arrangement{0, 1, 0, 2, 1}}) {
    for (const Arrangement& neighbor : neighbors_of(states, 3)) {
      EXPECT_EQ(neighbor.size(), states.size());
      EXPECT_NE(neighbor, states);
      for (const uint32_t state : neighbor) EXPECT_LT(state, 3U);
    }
  }
  EXPECT_TRUE(neighbors_of({0, 0}, 1).empty()) << "nowhere to go";
}

TEST(CheapestRuns, AreTheCheapestOfAll) {
  std::mt19937 rng(42);
  const std::vector<uint32_t> orders[] = {
      {0}, {1, 0}, {0, 1, 2}, {2, 0, 2}, {1, 2, 0, 1}};
  uint32_t num_finite = 0;
  for (uint32_t trial = 0; trial < 200; ++trial) {
    const uint32_t num_segments = 4 + trial % 4;
    const PriceTable table = random_table(num_segments, 3, rng);
    for (const std::vector<uint32_t>& order : orders) {
      const double least = least_of_all(table, order, num_segments);
      const Runs runs = cheapest_runs(table, order);
      ASSERT_EQ(runs.price == kInfinity, least == kInfinity) << trial;
      if (least == kInfinity) continue;
      ++num_finite;
      EXPECT_NEAR(runs.price, least, 1e-12 * least) << trial;
      const Arrangement states = arrange(order, runs.ends);
      EXPECT_EQ(order_of(states), order) << "no run is empty";
      EXPECT_NEAR(price_of(table, states), least, 1e-12 * least) << trial;
    }
  }
  EXPECT_GT(num_finite, 200U);
}

TEST(CheapestRuns, AreNoneOfMoreRunsThanSegments) {
  std::mt19937 rng(42);
  EXPECT_EQ(
      cheapest_runs(random_table(2, 3, rng), std::vector<uint32_t>{0, 1, 2})
          .price,
      kInfinity);
}

}  // namespace
}  // namespace tessera::planner
