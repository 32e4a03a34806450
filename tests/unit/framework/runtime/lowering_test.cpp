// SPDX-License-Identifier: Apache-2.0
//
// Programs are cut where the device changes, and what crosses the cut is bound.

#include "framework/runtime/lowering.hpp"

#include <gtest/gtest.h>

#include "framework/model/build_graph.hpp"

namespace tessera {
namespace {

ModelConfig small_config() {
  ModelConfig config;
  config.family = ModelFamily::kQwen3;
  config.hidden_size = 8;
  config.intermediate_size = 16;
  config.num_layers = 3;
  config.num_q_heads = 4;
  config.num_kv_heads = 2;
  config.head_dim = 4;
  config.vocab_size = 11;
  config.max_positions = 32;
  config.rms_eps = 1e-6f;
  config.qk_norm = true;
  config.layer_windows = {0, 0, 0};
  return config;
}

constexpr StepLimits kLimits = {6, 2, 3, 4};

uint32_t f32_source(const GraphTensor&) { return TSR_F32; }

TEST(Lowering, OneDeviceIsOneProgram) {
  const Graph graph = *build_graph(small_config(), 16);
  const Plan plan = uniform_plan(graph, "cpu", *find_scheme("f32"));
  const auto ranges = split_by_device(graph, plan);
  ASSERT_EQ(ranges.size(), 1u);
  EXPECT_EQ(ranges[0].last, graph.ops.size());

  const Lowered lowered = lower(graph, plan, ranges[0], kLimits, f32_source);
  EXPECT_EQ(lowered.weights.size(), 3u * 7u + 1u);
  EXPECT_EQ(lowered.kv.size(), 3u);
  for (uint32_t id = 0; id < graph.tensors.size(); ++id) {
    const bool is_output = lowered.places[id] == Place::kOutput;
    EXPECT_EQ(is_output, id == graph.logits) << graph.tensors[id].name;
    EXPECT_NE(lowered.places[id], Place::kInput) << graph.tensors[id].name;
  }
}

TEST(Lowering, OnlyTheResidualStreamCrossesACutBetweenLayers) {
  const Graph graph = *build_graph(small_config(), 16);
  Plan plan = uniform_plan(graph, "a", *find_scheme("bf16"));
  plan.layers[1].device = "b";
  const auto ranges = split_by_device(graph, plan);
  ASSERT_EQ(ranges.size(), 3u);
  for (size_t i = 0; i < ranges.size(); ++i) {
    const Lowered lowered = lower(graph, plan, ranges[i], kLimits, f32_source);
    uint32_t inputs = 0;
    uint32_t outputs = 0;
    for (uint32_t id = 0; id < graph.tensors.size(); ++id) {
      if (lowered.places[id] == Place::kInput) ++inputs;
      if (lowered.places[id] != Place::kOutput) continue;
      ++outputs;
      EXPECT_EQ(lowered.tensors[lowered.program_id[id]].dtype,
                uint32_t{TSR_F32});
    }
    EXPECT_EQ(inputs, i == 0 ? 0u : 1u);
    EXPECT_EQ(outputs, 1u);
  }
}

TEST(Lowering, FloatsOfAQuantizedFileBecomeWhatTheSchemeSays) {
  Scheme scheme = *find_scheme("f32");
  GraphWeight weight;
  weight.is_head = true;
  weight.stored_float = TSR_WEIGHT_BF16;
  EXPECT_EQ(choose_linear(weight, scheme).format, scheme.head_format);
  scheme.as_stored = true;
  EXPECT_EQ(choose_linear(weight, scheme).format, uint32_t{TSR_WEIGHT_BF16});
  scheme.stored_floats.bf16 = TSR_WEIGHT_F16;
  EXPECT_EQ(choose_linear(weight, scheme).format, uint32_t{TSR_WEIGHT_F16});
  weight.stored_float = TSR_WEIGHT_F32;
  EXPECT_EQ(choose_linear(weight, scheme).format, uint32_t{TSR_WEIGHT_F32});
}

TEST(Lowering, FillsInTheMaximaOfEverySymbol) {
  const Graph graph = *build_graph(small_config(), 16);
  const Plan plan = uniform_plan(graph, "cpu", *find_scheme("f32"));
  const Lowered lowered =
      lower(graph, plan, split_by_device(graph, plan)[0], kLimits, f32_source);
  for (const tsr_tensor& tensor : lowered.tensors) {
    for (uint32_t d = 0; d < tensor.rank; ++d) {
      EXPECT_GT(tensor.dims[d].max, 0u);
    }
    if (tensor.role == TSR_ROLE_BLOCK_TABLE) {
      EXPECT_EQ(tensor.dims[0].max, kLimits.max_seqs);
      EXPECT_EQ(tensor.dims[1].max, kLimits.max_blocks_per_seq);
    }
    if (tensor.role == TSR_ROLE_Q_STARTS) {
      EXPECT_EQ(tensor.dims[0].max, kLimits.max_seqs + 1);
    }
  }
}

TEST(Lowering, TheHeadKeepsFloatWeightsAndActivations) {
  GraphWeight head;
  head.is_head = true;
  const LinearChoice choice = choose_linear(head, *find_scheme("w8a8_dynamic"));
  EXPECT_EQ(choice.format, uint32_t{TSR_WEIGHT_BF16});
  EXPECT_EQ(choice.act_quant, uint32_t{TSR_ACT_FLOAT});
}

TEST(Lowering, AStoredWeightIsTakenAsItIs) {
  GraphWeight weight;
  Scheme scheme = *find_scheme("w8a8");
  scheme.as_stored = true;
  EXPECT_EQ(choose_linear(weight, scheme).act_quant, uint32_t{TSR_ACT_FLOAT})
      << "the file keeps it in floats";
  weight.stored_float = TSR_WEIGHT_F16;
  EXPECT_EQ(choose_linear(weight, scheme).format, uint32_t{TSR_WEIGHT_F16});
  weight.stored = LinearChoice{TSR_WEIGHT_Q4_0, 0, true, TSR_ACT_FLOAT};
  EXPECT_EQ(choose_linear(weight, scheme), *weight.stored);
  scheme.as_stored = false;
  EXPECT_EQ(choose_linear(weight, scheme).format, uint32_t{TSR_WEIGHT_I8});
}

}  // namespace
}  // namespace tessera
