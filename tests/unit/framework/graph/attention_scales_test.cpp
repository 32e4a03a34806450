// SPDX-License-Identifier: Apache-2.0
//
// Static scales become the constants that kv_append and attention read.

#include "framework/graph/attention_scales.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "framework/model/build_graph.hpp"

namespace tessera {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// Two layers, two query heads over one KV head of 4.
Graph small_graph() {
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
  return *build_graph(config, 32);
}

template <typename Op>
const Op& first_op(const Graph& graph, int32_t layer) {
  for (const GraphOp& op : graph.ops) {
    if (op.layer == layer && std::holds_alternative<Op>(op.body)) {
      return std::get<Op>(op.body);
    }
  }
  ADD_FAILURE() << "no such op";
  static const Op kNone{};
  return kNone;
}

TEST(AttentionScales, PerChannelGoToAppendAndAttention) {
  Graph graph = small_graph();
  graph.kv[1].stored = {TSR_KV_I8_CHANNEL, {}, {1, 2, 4, 8}, {16, 32, 64, 128}};
  const uint32_t formats[] = {TSR_KV_F32, TSR_KV_I8_CHANNEL};
  ASSERT_TRUE(bind_attention_scales(formats, graph).ok());
  EXPECT_TRUE(validate(graph).ok()) << validate(graph).message();

  const auto& append = first_op<tsr_op_kv_append>(graph, 1);
  EXPECT_THAT(graph.tensors[append.kv_inv].values,
              ElementsAre(1, 0.5, 0.25, 0.125, 1.0 / 16, 1.0 / 32, 1.0 / 64,
                          1.0 / 128));
  const auto& attention = first_op<tsr_op_attention>(graph, 1);
  EXPECT_THAT(graph.tensors[attention.kv_scale].values,
              ElementsAre(1, 2, 4, 8, 16, 32, 64, 128));
  EXPECT_EQ(graph.tensors[attention.kv_scale].dims.size(), 3u);
  EXPECT_EQ(attention.thresholds, TSR_NONE);
  EXPECT_EQ(first_op<tsr_op_attention>(graph, 0).kv_scale, TSR_NONE);
}

// P >= k iff d <= floor(ln(127 / (k - 0.5)) / c), numerics.md section 2.
TEST(AttentionScales, Fa3ThresholdsComeFromBothScalesOfAHead) {
  Graph graph = small_graph();
  const AttentionScales scales{TSR_KV_I8_HEAD, {0.25f, 0.5f}, {0.125f}, {2.0f}};
  graph.kv[0].stored = graph.kv[1].stored = scales;
  const uint32_t formats[] = {TSR_KV_I8_HEAD, TSR_KV_I8_HEAD};
  ASSERT_TRUE(bind_attention_scales(formats, graph).ok());
  EXPECT_TRUE(validate(graph).ok()) << validate(graph).message();

  const auto& attention = first_op<tsr_op_attention>(graph, 0);
  EXPECT_THAT(graph.tensors[attention.q_scale].values,
              ElementsAre(0.25f, 0.5f));
  EXPECT_THAT(graph.tensors[attention.q_inv].values, ElementsAre(4, 2));
  EXPECT_THAT(graph.tensors[attention.kv_scale].values, ElementsAre(0.125, 2));
  const std::vector<int32_t>& thresholds =
      graph.tensors[attention.thresholds].indices;
  ASSERT_EQ(thresholds.size(), 2u * 127u);
  for (size_t head = 0; head < 2; ++head) {
    // head_dim 4: the softmax scale is exactly 1/2.
    const double c = double{scales.q[head]} * 0.125 * 0.5;
    for (int k = 1; k <= 127; ++k) {
      EXPECT_EQ(thresholds[head * 127 + static_cast<size_t>(k) - 1],
                static_cast<int32_t>(std::floor(std::log(127 / (k - 0.5)) / c)))
          << "head " << head << " code " << k;
    }
  }
}

TEST(AttentionScales, FloatsNeedNone) {
  Graph graph = small_graph();
  const size_t num_tensors = graph.tensors.size();
  const uint32_t formats[] = {TSR_KV_BF16, TSR_KV_I8_TOKEN};
  EXPECT_TRUE(bind_attention_scales(formats, graph).ok());
  EXPECT_EQ(graph.tensors.size(), num_tensors);
}

TEST(AttentionScales, ErrorsSayWhatIsMissingOrWrong) {
  const auto message = [](uint32_t format,
                          const std::optional<AttentionScales>& stored) {
    Graph graph = small_graph();
    graph.kv[0].stored = stored;
    const uint32_t formats[] = {format, TSR_KV_F32};
    return bind_attention_scales(formats, graph).message();
  };
  constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
  EXPECT_THAT(message(TSR_KV_I8_CHANNEL, std::nullopt),
              HasSubstr("layers.0.self_attn.kv_append: an int8 KV cache per "
                        "channel needs scales from calibration"));
  EXPECT_THAT(
      message(TSR_KV_I8_HEAD, AttentionScales{TSR_KV_I8_CHANNEL, {}, {1}, {1}}),
      HasSubstr("ends in _fa3"));
  EXPECT_THAT(message(TSR_KV_I8_CHANNEL,
                      AttentionScales{TSR_KV_I8_CHANNEL, {}, {1}, {1}}),
              HasSubstr("1 scales of K, not 4"));
  EXPECT_THAT(
      message(TSR_KV_I8_HEAD, AttentionScales{TSR_KV_I8_HEAD, {1}, {1}, {1}}),
      HasSubstr("1 scales of Q, not 2"));
  EXPECT_THAT(message(TSR_KV_I8_HEAD,
                      AttentionScales{TSR_KV_I8_HEAD, {1, 1}, {1}, {0}}),
              HasSubstr("a scale of V is 0"));
  EXPECT_THAT(message(TSR_KV_I8_HEAD,
                      AttentionScales{TSR_KV_I8_HEAD, {1, 1}, {kNan}, {1}}),
              HasSubstr("a scale of K is nan"));
}

}  // namespace
}  // namespace tessera
