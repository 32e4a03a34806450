// SPDX-License-Identifier: Apache-2.0

#include "framework/planner/solver/arrangement.hpp"

#include <gmock/gmock.h>

#include <array>

namespace tessera::planner {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::Not;

// Each segment takes parts[s] of row s in state s, nothing elsewhere.
Bulks own_rows(uint32_t num_segments, const std::vector<double>& parts) {
  const auto num_states = static_cast<uint32_t>(parts.size());
  Bulks bulks{num_states, num_states, {}};
  for (uint32_t g = 0; g < num_segments; ++g) {
    for (uint32_t s = 0; s < num_states; ++s) {
      for (uint32_t r = 0; r < num_states; ++r) {
        bulks.parts.push_back(r == s ? parts[s] : 0.0);
      }
    }
  }
  return bulks;
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

TEST(RunsInOrder, FollowSharesWhereAllFits) {
  const std::array<uint32_t, 2> order = {1, 0};
  const std::array<double, 2> shares = {0.75, 0.25};
  EXPECT_THAT(runs_in_order(order, shares, own_rows(4, {0.1, 0.1})),
              ElementsAre(1, 0, 0, 0));
}

TEST(RunsInOrder, ShortenTheRunThatIsOverfull) {
  // Three segments fill a row to 0.9; a fourth would break it.
  const std::array<uint32_t, 2> order = {0, 1};
  const std::array<double, 2> shares = {0.8, 0.2};
  EXPECT_THAT(runs_in_order(order, shares, own_rows(5, {0.3, 0.3})),
              ElementsAre(0, 0, 0, 1, 1));
}

TEST(RunsInOrder, ShiftRunsInBetween) {
  const std::array<uint32_t, 3> order = {0, 1, 2};
  const std::array<double, 3> shares = {0.6, 0.2, 0.2};
  EXPECT_THAT(runs_in_order(order, shares, own_rows(5, {0.4, 0.9, 0.4})),
              ElementsAre(0, 0, 1, 2, 2));
}

}  // namespace
}  // namespace tessera::planner
