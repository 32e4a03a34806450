// SPDX-License-Identifier: Apache-2.0
//
// Scales of int8 attention come from the queries, keys and values that the
// device will round.

#include "framework/quant/pipeline/attention_observer.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "framework/graph/graph_builder.hpp"
#include "framework/model/build_graph.hpp"

namespace tessera::quant {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(AttentionObserver, Fa3HasOneScalePerHead) {
  auto observer = AttentionObserver::create(TSR_KV_I8_HEAD, {2, 1, 2});
  ASSERT_TRUE(observer.ok());
  // Two tokens; the second holds the largest values.
  const float q[] = {1, -2, 0, 3, 127, 5, -254, 1};
  const float k[] = {1, -0.5f, 381, 0};
  const float v[] = {0, 0, 0, -508};
  ASSERT_TRUE(observer->add(q, k, v).ok());
  const auto scales = observer->scales();
  ASSERT_TRUE(scales.ok());
  EXPECT_EQ(scales->kv_format, uint32_t{TSR_KV_I8_HEAD});
  EXPECT_THAT(scales->q, ElementsAre(1, 2));
  EXPECT_THAT(scales->k, ElementsAre(3));
  EXPECT_THAT(scales->v, ElementsAre(4));
}

TEST(AttentionObserver, ACacheHasOneScalePerChannelAndNoneOfQueries) {
  auto observer = AttentionObserver::create(TSR_KV_I8_CHANNEL, {2, 1, 2});
  ASSERT_TRUE(observer.ok());
  const float q[] = {1e6f, 1e6f, 1e6f, 1e6f};
  const float k[] = {127, -254};
  const float v[] = {-381, 508};
  ASSERT_TRUE(observer->add(q, k, v).ok());
  const float smaller[] = {1, 1};
  ASSERT_TRUE(observer->add(q, smaller, smaller).ok());
  const auto scales = observer->scales();
  ASSERT_TRUE(scales.ok());
  EXPECT_TRUE(scales->q.empty());
  EXPECT_THAT(scales->k, ElementsAre(1, 2));
  EXPECT_THAT(scales->v, ElementsAre(3, 4));
}

TEST(AttentionObserver, RefusesWhatItCannotScale) {
  EXPECT_THAT(
      AttentionObserver::create(TSR_KV_BF16, {2, 1, 2}).status().message(),
      HasSubstr("has no static scales"));
  auto observer = AttentionObserver::create(TSR_KV_I8_HEAD, {1, 1, 2});
  ASSERT_TRUE(observer.ok());
  EXPECT_EQ(observer->scales().status().code(), TSR_FAILED_PRECONDITION);
  const float fine[] = {1, 2};
  const float infinite[] = {1, std::numeric_limits<float>::infinity()};
  EXPECT_THAT(observer->add(fine, infinite, fine).message(),
              HasSubstr("K: token 0: head 0 is not finite"));
}

// Keys are rounded after RoPE, which is inside kv_append.
TEST(RotatedKeys, AreARopeOfWhatIsAppended) {
  ModelConfig config;
  config.hidden_size = 8;
  config.intermediate_size = 12;
  config.num_layers = 2;
  config.num_q_heads = 2;
  config.num_kv_heads = 1;
  config.head_dim = 4;
  config.vocab_size = 10;
  config.max_positions = 64;
  config.rms_eps = 1e-5f;
  config.layer_windows = {0, 0};
  const Graph plain = *build_graph(config, 32);
  const Graph graph = with_rotated_keys(plain);
  EXPECT_TRUE(validate(graph).ok()) << validate(graph).message();
  EXPECT_EQ(graph.ops.size(), plain.ops.size() + 2);
  EXPECT_EQ(graph.weights.size(), plain.weights.size());
  for (uint32_t layer = 0; layer < 2; ++layer) {
    const AttentionInputs inputs = attention_inputs(graph, layer);
    for (const GraphOp& op : graph.ops) {
      if (op.layer != static_cast<int32_t>(layer)) continue;
      if (const auto* append = std::get_if<tsr_op_kv_append>(&op.body)) {
        EXPECT_NE(inputs.k, append->k);
        EXPECT_EQ(inputs.v, append->v);
      }
      if (const auto* attention = std::get_if<tsr_op_attention>(&op.body)) {
        EXPECT_EQ(inputs.q, attention->q);
      }
    }
    EXPECT_EQ(inputs.k, plain.tensors.size() + layer);
  }
}

}  // namespace
}  // namespace tessera::quant
