// SPDX-License-Identifier: Apache-2.0
//
// Sessions that share weights are as sessions by themselves.

#include <gtest/gtest.h>

#include "framework/model/build_graph.hpp"
#include "framework/planner/plan.hpp"
#include "tests/e2e/loaded_model.hpp"

namespace tessera::e2e {
namespace {

constexpr uint32_t kContext = 64;

class SharedWeights : public ::testing::Test {
 protected:
  void SetUp() override {
    auto model = open_model(default_model_folder());
    ASSERT_TRUE(model.ok()) << model.status().message();
    model_ = std::make_unique<Model>(std::move(*model));
    auto device = open_cpu({}, false);
    ASSERT_TRUE(device.ok()) << device.status().message();
    devices_["cpu"] = std::move(*device);
  }

  // `scheme` of all layers but the last, which has `last`.
  std::unique_ptr<Session> open(const char* scheme, const char* last,
                                Residents* shared) {
    auto graph = build_graph(model_->config, kContext);
    EXPECT_TRUE(graph.ok()) << graph.status().message();
    Plan plan = uniform_plan(*graph, "cpu", *find_scheme(scheme));
    for (const GraphWeight& weight : graph->weights) {
      const bool is_last =
          weight.layer == static_cast<int32_t>(model_->config.num_layers) - 1;
      plan.weights.push_back(*find_scheme(is_last ? last : scheme));
    }
    SessionOptions options;
    options.max_context = kContext;
    options.shared = shared;
    auto session = Session::create(std::move(*graph), plan, model_->source,
                                   devices_, options);
    EXPECT_TRUE(session.ok()) << session.status().message();
    return session.ok() ? std::move(*session) : nullptr;
  }

  // Logits of a prompt and three tokens, `beside` taking a step of its own
  // between all.
  static std::vector<float> logits_of(Session& session,
                                      Session* beside = nullptr) {
    std::vector<float> logits;
    const auto step = [](Session& one, uint32_t sequence,
                         std::vector<int32_t> tokens) {
      const Status status =
          one.step({{{sequence, tokens,
                      tokens.size() > 1 ? TSR_PREFILL : TSR_DECODE, 1}}});
      EXPECT_TRUE(status.ok()) << status.message();
    };
    const uint32_t own = *session.open_sequence();
    const uint32_t other = beside == nullptr ? 0 : *beside->open_sequence();
    for (int32_t i = 0; i < 4; ++i) {
      std::vector<int32_t> tokens{31 + i};
      if (i == 0) tokens = {11, 12, 13, 14, 15};
      step(session, own, tokens);
      const auto row = session.logits(0);
      logits.insert(logits.end(), row.begin(), row.end());
      if (beside != nullptr) step(*beside, other, {71, 72, 73});
    }
    session.close_sequence(own);
    if (beside != nullptr) beside->close_sequence(other);
    return logits;
  }

  std::unique_ptr<Model> model_;
  DeviceMap devices_;
};

TEST_F(SharedWeights, ComputeWhatTheyComputeAlone) {
  RoundedWeights rounded(uint64_t{1} << 30);
  const auto alone = open("w8a16", "w4a16_g32", nullptr);
  ASSERT_NE(alone, nullptr);
  const std::vector<float> expected = logits_of(*alone);
  for (int load = 0; load < 2; ++load) {
    Residents shared(nullptr, &rounded);
    const auto other = open("w8a16", "w8a16", &shared);
    const auto one = open("w8a16", "w4a16_g32", &shared);
    ASSERT_NE(one, nullptr);
    ASSERT_NE(other, nullptr);
    // Each has a KV cache of its own.
    EXPECT_EQ(logits_of(*one, other.get()), expected) << "load " << load;
  }
}

TEST_F(SharedWeights, HoldWhatTheyHaveInCommonOnce) {
  const auto alone = open("w8a16", "w4a16_g32", nullptr);
  Residents shared;
  const auto first = open("w8a16", "w8a16", &shared);
  const auto second = open("w8a16", "w8a16", &shared);
  const auto third = open("w8a16", "w4a16_g32", &shared);
  ASSERT_NE(third, nullptr);
  EXPECT_GT(first->memory().weight_bytes, 0U);
  EXPECT_EQ(second->memory().weight_bytes, 0U);
  EXPECT_EQ(second->memory().kv_bytes, first->memory().kv_bytes);
  // Its last layer.
  EXPECT_GT(third->memory().weight_bytes, 0U);
  EXPECT_LT(third->memory().weight_bytes, alone->memory().weight_bytes / 3);
}

TEST_F(SharedWeights, AreThereAsLongAsASessionIs) {
  const auto alone = open("w8a16", "w8a16", nullptr);
  Residents shared;
  auto first = open("w8a16", "w8a16", &shared);
  const auto second = open("w8a16", "w8a16", &shared);
  first.reset();
  EXPECT_EQ(logits_of(*second), logits_of(*alone));
}

// What was asked for last, up to a limit.
TEST_F(SharedWeights, StayForTheSessionsToCome) {
  Residents all;
  all.keep_weights(uint64_t{1} << 30);
  const uint64_t bytes = open("w8a16", "w8a16", &all)->memory().weight_bytes;
  EXPECT_GT(bytes, 0U);
  const auto again = open("w8a16", "w8a16", &all);
  EXPECT_EQ(again->memory().weight_bytes, 0U);
  EXPECT_EQ(logits_of(*again), logits_of(*open("w8a16", "w8a16", nullptr)));
  Residents most;
  most.keep_weights(bytes / 4 * 3);
  EXPECT_EQ(open("w8a16", "w8a16", &most)->memory().weight_bytes, bytes);
  // The last layer came last, so others are pushed out before it.
  const auto other = open("w4a16_g32", "w8a16", &most);
  EXPECT_LT(other->memory().weight_bytes,
            open("w4a16_g32", "w8a16", nullptr)->memory().weight_bytes);
  EXPECT_GT(open("w8a16", "w8a16", &most)->memory().weight_bytes, 0U);
}

}  // namespace
}  // namespace tessera::e2e
