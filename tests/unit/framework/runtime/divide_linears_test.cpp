// SPDX-License-Identifier: Apache-2.0
//
// A divided linear is linears over its rows, side by side.

#include "framework/runtime/stages/divide_linears.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "framework/model/build_graph.hpp"
#include "framework/runtime/lowering.hpp"

namespace tessera {
namespace {

using ::testing::HasSubstr;

ModelConfig small_config() {
  ModelConfig config;
  config.family = ModelFamily::kQwen3;
  config.hidden_size = 8;
  config.intermediate_size = 16;
  config.num_layers = 2;
  config.num_q_heads = 4;
  config.num_kv_heads = 2;
  config.head_dim = 4;
  config.vocab_size = 11;
  config.max_positions = 32;
  config.rms_eps = 1e-6f;
  config.qk_norm = true;
  config.layer_windows = {0, 0};
  return config;
}

uint32_t weight_named(const Graph& graph, const std::string& name) {
  for (uint32_t i = 0; i < graph.weights.size(); ++i) {
    if (graph.weights[i].name == name) return i;
  }
  ADD_FAILURE() << name;
  return 0;
}

struct DivideLinears : ::testing::Test {
  Graph graph = *build_graph(small_config(), 16);
  Plan plan = uniform_plan(graph, "a", *find_scheme("f32"));

  void divide(const std::string& name, std::vector<LinearPart> parts) {
    plan.parts.resize(graph.weights.size());
    plan.parts[weight_named(graph, name)] = std::move(parts);
  }
};

TEST_F(DivideLinears, GivesEachPartItsRows) {
  divide("layers.1.mlp.down_proj", {{"a", 0, 3}, {"b", 3, 8}});
  const auto divided = divide_linears(graph, plan);
  ASSERT_TRUE(divided.ok()) << divided.status().message();
  EXPECT_EQ(divided->graph.ops.size(), graph.ops.size() + 1);
  EXPECT_EQ(divided->plan.ops.size(), divided->graph.ops.size());
  const GraphWeight& second = divided->graph.weights.back();
  EXPECT_EQ(second.first_row, 3u);
  EXPECT_EQ(second.N, 5u);
  EXPECT_EQ(second.source_rows, 8u);
  const GraphTensor& written = divided->graph.tensors.back();
  EXPECT_EQ(written.first_column, 3u);
  EXPECT_EQ(written.dims.back().max, 5u);
}

// What reads the same is divided together: one program per device.
TEST_F(DivideLinears, PutsNeighboursThatReadTheSameIntoOneGroup) {
  for (const char* name : {"gate_proj", "up_proj"}) {
    divide(std::string("layers.0.mlp.") + name, {{"a", 0, 8}, {"b", 8, 16}});
  }
  const auto divided = divide_linears(graph, plan);
  ASSERT_TRUE(divided.ok());
  const auto ranges = split_by_device(divided->graph, divided->plan);
  ASSERT_EQ(ranges.size(), 4u);
  EXPECT_EQ(ranges[1].device, "a");
  EXPECT_EQ(ranges[2].device, "b");
  EXPECT_EQ(ranges[1].group, ranges[2].group);
  EXPECT_NE(ranges[1].group, 0u);
  EXPECT_EQ(ranges[1].last - ranges[1].first, 2u);
  EXPECT_EQ(ranges[3].group, 0u);
}

TEST_F(DivideLinears, LeavesWhatIsNotDivided) {
  plan.parts.resize(graph.weights.size());
  const auto divided = divide_linears(graph, plan);
  ASSERT_TRUE(divided.ok());
  EXPECT_EQ(divided->graph.ops.size(), graph.ops.size());
  EXPECT_EQ(split_by_device(divided->graph, divided->plan).size(), 1u);
}

TEST_F(DivideLinears, RefusesPartsThatAreNotAllRowsInOrder) {
  const std::vector<std::vector<LinearPart>> wrong = {
      {{"a", 0, 3}, {"b", 4, 8}},
      {{"a", 0, 3}, {"b", 3, 7}},
      {{"a", 0, 3}, {"b", 3, 9}},
      {{"a", 0, 0}, {"b", 0, 8}},
      {{"a", 1, 3}, {"b", 3, 8}}};
  for (const auto& parts : wrong) {
    divide("layers.1.mlp.down_proj", parts);
    const auto divided = divide_linears(graph, plan);
    EXPECT_EQ(divided.status().code(), TSR_INVALID_ARGUMENT);
    EXPECT_THAT(divided.status().message(), HasSubstr("layers.1.mlp.down"));
  }
}

TEST_F(DivideLinears, RefusesTwoPartsOnOneDevice) {
  divide("layers.1.mlp.down_proj", {{"a", 0, 3}, {"a", 3, 8}});
  EXPECT_THAT(divide_linears(graph, plan).status().message(),
              HasSubstr("two parts on a"));
}

TEST_F(DivideLinears, RefusesTheHead) {
  plan.parts.resize(graph.weights.size());
  for (uint32_t i = 0; i < graph.weights.size(); ++i) {
    if (graph.weights[i].is_head) plan.parts[i] = {{"a", 0, 3}, {"b", 3, 11}};
  }
  EXPECT_EQ(divide_linears(graph, plan).status().code(), TSR_UNIMPLEMENTED);
}

}  // namespace
}  // namespace tessera
