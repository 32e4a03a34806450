// SPDX-License-Identifier: Apache-2.0
//
// What is kept of choices, counted anew by hand, and the doubts of mixes.

#include "framework/planner/solver/seen_choices.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "tests/unit/framework/planner/solver/random_chain.hpp"

namespace tessera::planner {
namespace {

class SeenChoicesTest : public ::testing::Test {
 protected:
  SeenChoicesTest() : chain_(make_chain()), seen_(chain_) {
    for (int i = 0; i < 20; ++i) add_choice();
  }

  Chain make_chain() {
    ChainShape shape;
    shape.num_sites = 3;
    shape.num_segments = 4;
    shape.tied_share = 0.0;
    Chain chain = random_chain(shape, rng_);
    // The second segment is like the first.
    chain.segments[1].item_begin = chain.segments[0].item_begin;
    chain.segments[1].item_end = chain.segments[0].item_end;
    return chain;
  }

  // Any options: what they cost is not looked at.
  void add_choice() {
    Choice choice;
    for (uint32_t phase = 0; phase < kNumPhases; ++phase) {
      for (size_t g = 0; g < chain_.segments.size(); ++g) {
        choice.sites[phase].push_back(
            static_cast<uint32_t>(rng_() % chain_.num_sites));
      }
    }
    Totals totals;
    for (size_t r = 0; r < chain_.rows.size(); ++r) {
      totals.sums.push_back(static_cast<double>(rng_() % 100));
      totals.peaks.push_back(static_cast<double>(rng_() % 4));
    }
    totals.cost = static_cast<double>(rng_() % 100);
    choices_.push_back(choice);
    totals_.push_back(totals);
    EXPECT_EQ(seen_.add(choice, totals) + 1, choices_.size());
  }

  uint32_t count(uint32_t choice, const CountLimit& limit) const {
    const std::vector<uint32_t>& sites = choices_[choice].sites[limit.phase];
    uint32_t found = 0;
    for (size_t g = 0; g < sites.size(); ++g) {
      if (limit.kind != kNone) {
        found +=
            seen_.kinds().of(g) == limit.kind && sites[g] == limit.site ? 1 : 0;
      } else if (g > 0 && sites[g] == limit.site &&
                 sites[g - 1] != limit.site) {
        found += limit.from == kNone || sites[g - 1] == limit.from ? 1 : 0;
      }
    }
    return found;
  }

  bool is_at(uint32_t choice, uint32_t site) const {
    const auto& sites = choices_[choice].sites;
    return std::any_of(sites.begin(), sites.end(), [site](const auto& phase) {
      return std::find(phase.begin(), phase.end(), site) != phase.end();
    });
  }

  std::mt19937 rng_{42};
  Chain chain_;
  SeenChoices seen_;
  std::vector<Choice> choices_;
  std::vector<Totals> totals_;
};

TEST_F(SeenChoicesTest, AreCountedAsTheyStand) {
  std::vector<CountLimit> limits;
  for (uint32_t phase = 0; phase < kNumPhases; ++phase) {
    for (uint32_t site = 0; site < chain_.num_sites; ++site) {
      for (const bool at_least : {false, true}) {
        for (uint32_t kind = 0; kind < seen_.kinds().num(); ++kind) {
          limits.push_back({kind, phase, kNone, site, 2, at_least});
        }
        limits.push_back({kNone, phase, kNone, site, 1, at_least});
        limits.push_back({kNone, phase, (site + 1) % 3, site, 1, at_least});
      }
    }
  }
  for (uint32_t c = 0; c < seen_.size(); ++c) {
    const std::vector<double> uses = seen_.uses(c, limits);
    ASSERT_EQ(uses.size(), chain_.rows.size() + limits.size());
    for (size_t r = 0; r < chain_.rows.size(); ++r) {
      EXPECT_EQ(uses[r], totals_[c].sums[r]);
    }
    for (size_t l = 0; l < limits.size(); ++l) {
      EXPECT_EQ(uses[chain_.rows.size() + l],
                limits[l].sign() * count(c, limits[l]));
    }
  }
}

TEST_F(SeenChoicesTest, KeepToDecisionsOrDoNot) {
  for (uint32_t c = 0; c < seen_.size(); ++c) {
    for (const bool keep : {false, true}) {
      for (uint32_t site = 0; site < chain_.num_sites; ++site) {
        EXPECT_EQ(
            seen_.agrees(c, {Decision::Kind::kUse, 0, site, 0.0, keep, {}}),
            is_at(c, site) == keep);
        for (uint32_t g = 0; g < chain_.segments.size(); ++g) {
          const Decision at{
              Decision::Kind::kSite, 1, g * 3 + site, 0.0, keep, {}};
          EXPECT_EQ(seen_.agrees(c, at),
                    (choices_[c].sites[1][g] == site) == keep);
        }
      }
    }
    // A peak may reach a level, or must stay below.
    const double peak = totals_[c].peaks[0];
    for (const double level : {1.0, 2.0, 3.0}) {
      EXPECT_TRUE(
          seen_.agrees(c, {Decision::Kind::kPeak, 0, 0, level, true, {}}));
      EXPECT_EQ(
          seen_.agrees(c, {Decision::Kind::kPeak, 0, 0, level, false, {}}),
          peak < level);
    }
  }
}

// Of two choices in equal parts: what one does and the other does not.
TEST_F(SeenChoicesTest, OfAMixDifferInEachDoubt) {
  const std::vector<double> prices(chain_.rows.size(), 1.0);
  const std::vector<double> floors(chain_.rows.size(), 0.0);
  for (uint32_t a = 0; a + 1 < seen_.size(); ++a) {
    const uint32_t b = a + 1;
    const std::vector<SeenChoices::Part> mix = {{a, 0.5}, {b, 0.5}};
    const auto doubts = seen_.doubts(mix, prices, floors);
    EXPECT_FALSE(doubts.empty());
    for (Decision doubt : doubts) {
      doubt.keep = false;
      switch (doubt.kind) {
        case Decision::Kind::kUse:
        case Decision::Kind::kSite:
          EXPECT_NE(seen_.agrees(a, doubt), seen_.agrees(b, doubt));
          break;
        case Decision::Kind::kPeak:
          EXPECT_TRUE(!seen_.agrees(a, doubt) || !seen_.agrees(b, doubt));
          break;
        case Decision::Kind::kCount: {
          const double mean =
              (count(a, doubt.count) + count(b, doubt.count)) / 2.0;
          EXPECT_LT(mean, doubt.level);
          EXPECT_GT(mean, doubt.level - 1.0);
          break;
        }
        case Decision::Kind::kOption:
          FAIL() << "mixes know no options";
      }
    }
  }
}

// One choice by itself leaves no more open than what its buffers reach.
TEST_F(SeenChoicesTest, AloneLeavePeaksInDoubtAtMost) {
  const std::vector<double> prices(chain_.rows.size(), 1.0);
  const std::vector<double> floors(chain_.rows.size(), 4.0);
  for (uint32_t c = 0; c < seen_.size(); ++c) {
    const std::vector<SeenChoices::Part> mix = {{c, 1.0}};
    EXPECT_TRUE(seen_.doubts(mix, prices, floors).empty());
  }
}

TEST_F(SeenChoicesTest, CountSegmentsThatCostAlikeAsOneKind) {
  const SegmentKinds& kinds = seen_.kinds();
  EXPECT_EQ(kinds.of(0), kinds.of(1));
  EXPECT_EQ(kinds.size(kinds.of(0)), 2U);
  EXPECT_EQ(kinds.num(), chain_.segments.size() - 1);
  for (size_t g = 2; g < chain_.segments.size(); ++g) {
    EXPECT_NE(kinds.of(g), kinds.of(0));
    EXPECT_EQ(kinds.size(kinds.of(g)), 1U);
  }
}

}  // namespace
}  // namespace tessera::planner
