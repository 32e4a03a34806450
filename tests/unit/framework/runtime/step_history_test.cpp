// SPDX-License-Identifier: Apache-2.0

#include "framework/runtime/step_history.hpp"

#include <gtest/gtest.h>

namespace tessera {
namespace {

using Kind = StepHistory::Kind;

TEST(StepHistory, KeepsBatchesPhasesAndOrder) {
  StepHistory history;
  history.open(0);
  history.open(1);
  const std::vector<int32_t> prompt = {1, 2, 3};
  const std::vector<int32_t> token = {4};
  const Feed feeds[] = {{1, token, TSR_DECODE, 1}, {0, prompt, TSR_PREFILL, 3}};
  history.add_step(feeds);
  history.close(1);
  ASSERT_EQ(history.events().size(), 4u);
  EXPECT_EQ(history.events()[3].kind, Kind::kClose);
  std::vector<Feed> stored(5);
  history.feeds_of(history.events()[2], stored);
  ASSERT_EQ(stored.size(), 2u);
  EXPECT_EQ(stored[0].sequence, 1u);
  EXPECT_EQ(stored[0].phase, uint32_t{TSR_DECODE});
  EXPECT_EQ(stored[0].tokens[0], 4);
  EXPECT_EQ(stored[1].phase, uint32_t{TSR_PREFILL});
  EXPECT_EQ(
      std::vector<int32_t>(stored[1].tokens.begin(), stored[1].tokens.end()),
      prompt);
  EXPECT_EQ(stored[1].num_outputs, 0u) << "logits are not made again";
}

TEST(StepHistory, ForgetsAllOnceNothingIsCached) {
  StepHistory history;
  history.open(0);
  const std::vector<int32_t> token = {4};
  const Feed feed{0, token, TSR_DECODE, 1};
  history.add_step({&feed, 1});
  EXPECT_EQ(history.num_steps(), 1u);
  history.close(0);
  EXPECT_TRUE(history.events().empty());
  EXPECT_EQ(history.num_steps(), 0u);
}

TEST(StepHistory, AllocatesNothingWithinItsReserve) {
  StepHistory history;
  history.reserve(100);
  history.open(0);
  const auto* first = history.events().data();
  const std::vector<int32_t> token = {4};
  const Feed feed{0, token, TSR_DECODE, 1};
  for (int i = 0; i < 99; ++i) history.add_step({&feed, 1});
  EXPECT_EQ(history.events().data(), first);
}

}  // namespace
}  // namespace tessera
