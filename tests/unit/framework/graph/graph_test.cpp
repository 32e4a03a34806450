// SPDX-License-Identifier: Apache-2.0
//
// Graphs are checked before anyone runs them.

#include "framework/graph/graph.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "framework/graph/graph_builder.hpp"
#include "framework/model/build_graph.hpp"

namespace tessera {
namespace {

using ::testing::HasSubstr;

ModelConfig config_of(ModelFamily family) {
  ModelConfig config;
  config.family = family;
  config.hidden_size = 8;
  config.intermediate_size = 12;
  config.num_layers = 2;
  config.num_q_heads = 2;
  config.num_kv_heads = 1;
  config.head_dim = 4;
  config.vocab_size = 10;
  config.max_positions = 64;
  config.rms_eps = 1e-5f;
  config.qkv_bias = family == ModelFamily::kQwen2;
  config.qk_norm = family == ModelFamily::kQwen3;
  config.layer_windows = {0, 7};
  return config;
}

uint32_t count_ops(const Graph& graph, uint32_t kind) {
  uint32_t count = 0;
  for (const GraphOp& op : graph.ops) {
    if (op_head(op.body).kind == kind) ++count;
  }
  return count;
}

TEST(BuildGraph, EveryFamilyGivesAValidGraph) {
  for (const ModelFamily family :
       {ModelFamily::kLlama, ModelFamily::kQwen2, ModelFamily::kQwen3}) {
    const Result<Graph> graph = build_graph(config_of(family), 32);
    ASSERT_TRUE(graph.ok()) << graph.status().message();
    EXPECT_EQ(graph->vocab_size, 10u);
    EXPECT_EQ(count_ops(*graph, TSR_OP_LINEAR), 2u * 7u + 1u);
    EXPECT_EQ(count_ops(*graph, TSR_OP_ATTENTION), 2u);
  }
}

TEST(BuildGraph, OnlyQwen3NormalizesQueriesAndKeys) {
  const Graph llama = *build_graph(config_of(ModelFamily::kLlama), 32);
  const Graph qwen3 = *build_graph(config_of(ModelFamily::kQwen3), 32);
  EXPECT_EQ(count_ops(llama, TSR_OP_RMS_NORM), 2u * 2u + 1u);
  EXPECT_EQ(count_ops(qwen3, TSR_OP_RMS_NORM), 2u * 4u + 1u);
}

TEST(BuildGraph, ALayersWindowBecomesASlidingMask) {
  const Graph graph = *build_graph(config_of(ModelFamily::kLlama), 32);
  std::vector<uint32_t> masks;
  for (const GraphOp& op : graph.ops) {
    if (const auto* body = std::get_if<tsr_op_attention>(&op.body)) {
      masks.push_back(body->mask);
    }
  }
  EXPECT_THAT(masks, ::testing::ElementsAre(uint32_t{TSR_MASK_CAUSAL},
                                            uint32_t{TSR_MASK_SLIDING}));
}

TEST(BuildGraph, RefusesAContextBeyondTheModels) {
  const auto config = config_of(ModelFamily::kLlama);
  EXPECT_THAT(build_graph(config, 65).status().message(), HasSubstr("65"));
  EXPECT_FALSE(build_graph(config, 0).ok());
}

TEST(Graph, RefusesATensorThatIsReadBeforeItIsWritten) {
  Graph graph = *build_graph(config_of(ModelFamily::kLlama), 32);
  std::swap(graph.ops[3], graph.ops[10]);
  const Status status = validate(graph);
  EXPECT_EQ(status.code(), TSR_INVALID_ARGUMENT);
  EXPECT_THAT(status.message(), HasSubstr("read before written"));
}

TEST(Graph, RefusesAWeightOfAnotherShape) {
  Graph graph = *build_graph(config_of(ModelFamily::kLlama), 32);
  graph.weights[0].K = 9;
  EXPECT_THAT(validate(graph).message(), HasSubstr("self_attn.q_proj"));
}

TEST(Graph, RefusesAnIdThatDoesNotExist) {
  Graph graph = *build_graph(config_of(ModelFamily::kLlama), 32);
  std::get<tsr_op_norm>(graph.ops[1].body).x = 5000;
  EXPECT_THAT(validate(graph).message(), HasSubstr("no such tensor"));
}

}  // namespace
}  // namespace tessera
