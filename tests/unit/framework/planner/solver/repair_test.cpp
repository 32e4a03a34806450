// SPDX-License-Identifier: Apache-2.0

#include "framework/planner/solver/repair.hpp"

#include <gtest/gtest.h>

#include <random>

#include "framework/planner/solver/relaxation.hpp"
#include "tests/unit/framework/planner/solver/random_chain.hpp"

namespace tessera::planner {
namespace {

TEST(Repair, KeepsSitesAndLimitsOfWhatItMends) {
  const ChainShape shape;
  uint32_t num_broken = 0;
  uint32_t num_mended = 0;
  for (uint32_t seed = 42; seed < 342; ++seed) {
    std::mt19937 rng(seed);
    const Chain chain = random_chain(shape, rng);
    Relaxation relaxation(chain);
    const std::vector<double> prices(chain.rows.size(), 0.0);
    if (relaxation.solve(prices) == kInfinity) continue;
    const Choice before = relaxation.choice();
    if (is_feasible(chain, add_up(chain, before))) continue;
    ++num_broken;
    Choice after = before;
    uint64_t work = 0;
    const bool mended = repair(chain, Alternatives(chain), prices, after, work);
    EXPECT_GT(work, 0U) << "seed " << seed;
    EXPECT_EQ(mended, is_feasible(chain, add_up(chain, after)))
        << "seed " << seed;
    EXPECT_EQ(after.sites, before.sites) << "seed " << seed;
    num_mended += mended ? 1 : 0;
  }
  EXPECT_GT(num_broken, 50U);
  EXPECT_GT(num_mended, num_broken / 10);
}

TEST(Repair, LeavesAloneWhatKeepsTheLimits) {
  std::mt19937 rng(42);
  Chain chain = random_chain({}, rng);
  for (Row& row : chain.rows) row.capacity = kInfinity;
  Relaxation relaxation(chain);
  const std::vector<double> prices(chain.rows.size(), 0.0);
  ASSERT_LT(relaxation.solve(prices), kInfinity);
  Choice choice = relaxation.choice();
  uint64_t work = 0;
  EXPECT_TRUE(repair(chain, Alternatives(chain), prices, choice, work));
  EXPECT_EQ(choice.options, relaxation.choice().options);
}

}  // namespace
}  // namespace tessera::planner
