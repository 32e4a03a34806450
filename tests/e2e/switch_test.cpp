// SPDX-License-Identifier: Apache-2.0
//
// A session that changes its plan in the middle is, from there on, a session
// that had the new plan all along and was fed the same.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>

#include "framework/planner/plan.hpp"
#include "tests/e2e/loaded_model.hpp"

namespace tessera::e2e {
namespace {

using ::testing::HasSubstr;

// Where a sequence of steps is changed from one plan to the other.
constexpr size_t kSwitchAt = 5;

LoadOptions batch_options(const char* scheme) {
  LoadOptions options;
  options.scheme = scheme;
  options.session.max_seqs = 3;
  options.session.max_outputs = 3;
  options.session.max_tokens = 7;
  options.session.max_context = 64;
  options.session.keep_history = true;
  return options;
}

std::unique_ptr<LoadedModel> load_default(const LoadOptions& options) {
  auto loaded = load(default_model_folder(), options);
  EXPECT_TRUE(loaded.ok()) << loaded.status().message();
  return loaded.ok() ? std::move(*loaded) : nullptr;
}

// A part of the batch, and what happens to sequences before it.
struct Step {
  std::vector<std::pair<uint32_t, std::vector<int32_t>>> feeds;
  uint32_t opens = 0;
  int closes = -1;
};

// Prefill in chunks, prefill beside decode, a sequence that ends and one that
// takes its row: rows, blocks and phases as a server mixes them.
std::vector<Step> mixed_steps() {
  return {{{{0, {11, 12, 13, 14, 15, 16, 17}}}, 1},
          {{{0, {18}}, {1, {21, 22, 23}}}, 1},
          {{{0, {19}}, {1, {24}}}},
          {{{0, {20}}, {1, {25}}, {2, {31, 32, 33, 34}}}, 1},
          {{{0, {41}}, {2, {35}}}, 0, 1},
          {{{0, {42}}, {1, {51, 52}}, {2, {36}}}, 1},
          {{{0, {43}}, {1, {53}}, {2, {37}}}},
          {{{0, {44}}, {1, {54}}}, 0, 2}};
}

// Feeds steps first .. last - 1 and appends every row of logits.
void feed(Session& session, size_t first, size_t last,
          std::vector<float>& logits) {
  const std::vector<Step> steps = mixed_steps();
  for (size_t i = first; i < last; ++i) {
    if (steps[i].closes >= 0) {
      session.close_sequence(static_cast<uint32_t>(steps[i].closes));
    }
    for (uint32_t k = 0; k < steps[i].opens; ++k) {
      ASSERT_TRUE(session.open_sequence().ok());
    }
    std::vector<Feed> feeds;
    for (const auto& [sequence, tokens] : steps[i].feeds) {
      feeds.push_back(
          {sequence, tokens, tokens.size() == 1 ? TSR_DECODE : TSR_PREFILL, 1});
    }
    const Status status = session.step(feeds);
    ASSERT_TRUE(status.ok()) << "step " << i << ": " << status.message();
    for (size_t f = 0; f < feeds.size(); ++f) {
      const auto row = session.logits(f);
      logits.insert(logits.end(), row.begin(), row.end());
    }
  }
}

void expect_equal_bits(const std::vector<float>& a,
                       const std::vector<float>& b) {
  ASSERT_EQ(a.size(), b.size());
  EXPECT_EQ(std::memcmp(a.data(), b.data(), a.size() * sizeof(float)), 0);
}

struct Change {
  const char* from;
  const char* to;
};

class PlanSwitch : public ::testing::TestWithParam<Change> {};

TEST_P(PlanSwitch, GoesOnAsIfTheNewPlanHadRunFromTheStart) {
  auto model = load_default(batch_options(GetParam().from));
  auto oracle = load_default(batch_options(GetParam().to));
  ASSERT_TRUE(model != nullptr && oracle != nullptr);
  std::vector<float> before;
  feed(*model->session, 0, kSwitchAt, before);
  const auto device = open_cpu({}, /*isolate=*/false);
  ASSERT_TRUE(device.ok());
  const Plan plan =
      uniform_plan(model->session->graph(), "cpu", *find_scheme(GetParam().to));
  const Status switched = model->session->switch_plan(plan, {{"cpu", *device}});
  ASSERT_TRUE(switched.ok()) << switched.message();
  EXPECT_EQ(model->session->times().num_steps, kSwitchAt)
      << "steps that are run again count for nothing";

  std::vector<float> wanted;
  std::vector<float> from_start;
  feed(*oracle->session, 0, kSwitchAt, from_start);
  feed(*oracle->session, kSwitchAt, mixed_steps().size(), wanted);
  std::vector<float> after;
  feed(*model->session, kSwitchAt, mixed_steps().size(), after);
  expect_equal_bits(after, wanted);
}

INSTANTIATE_TEST_SUITE_P(
    All, PlanSwitch,
    ::testing::Values(Change{"f32", "f32"}, Change{"f32", "bf16"},
                      Change{"bf16", "w8a8_dynamic"},
                      Change{"w8a8_dynamic", "w4a16"},
                      Change{"bf16_kv8", "f32"}, Change{"f32", "bf16_kv8"}),
    [](const auto& change) {
      return std::string(change.param.from) + "_to_" + change.param.to;
    });

TEST(PlanSwitch, NeedsAHistory) {
  LoadOptions options = batch_options("f32");
  options.session.keep_history = false;
  auto model = load_default(options);
  ASSERT_NE(model, nullptr);
  const Plan plan =
      uniform_plan(model->session->graph(), "cpu", *find_scheme("f32"));
  EXPECT_EQ(model->session->switch_plan(plan, {}).code(),
            TSR_FAILED_PRECONDITION);
  std::vector<float> logits;
  feed(*model->session, 0, 2, logits);  // the session is unharmed
}

TEST(PlanSwitch, AFailedOneLeavesASessionThatCanBeSwitchedAgain) {
  auto model = load_default(batch_options("f32"));
  ASSERT_NE(model, nullptr);
  std::vector<float> logits;
  feed(*model->session, 0, kSwitchAt, logits);
  const Plan plan =
      uniform_plan(model->session->graph(), "cpu", *find_scheme("f32"));
  EXPECT_THAT(model->session->switch_plan(plan, {}).message(),
              HasSubstr("no device cpu"));
  const std::vector<int32_t> tokens = {42};
  const Feed feed_one{0, tokens, TSR_DECODE, 1};
  EXPECT_EQ(model->session->step({&feed_one, 1}).code(),
            TSR_FAILED_PRECONDITION);
  const auto device = open_cpu({}, /*isolate=*/false);
  ASSERT_TRUE(device.ok());
  ASSERT_TRUE(model->session->switch_plan(plan, {{"cpu", *device}}).ok());
  feed(*model->session, kSwitchAt, mixed_steps().size(), logits);

  auto oracle = load_default(batch_options("f32"));
  ASSERT_NE(oracle, nullptr);
  std::vector<float> wanted;
  feed(*oracle->session, 0, mixed_steps().size(), wanted);
  expect_equal_bits(logits, wanted);
}

}  // namespace
}  // namespace tessera::e2e
