// SPDX-License-Identifier: Apache-2.0

#include "framework/cli/inspect/model_size.hpp"

#include <gtest/gtest.h>

#include "framework/cli/loaded_model.hpp"
#include "framework/format/encode.hpp"
#include "framework/model/build_graph.hpp"

namespace tessera::cli {
namespace {

constexpr const char* kModel = TSR_SOURCE_DIR "/models/tessera-5m";

// Rows of 96: whole GGUF blocks, and a short last group of 64.
class EncodedBytes : public ::testing::TestWithParam<const char*> {};

TEST_P(EncodedBytes, AreWhatTheEncoderMakes) {
  const auto scheme = find_scheme(GetParam());
  ASSERT_TRUE(scheme.ok());
  GraphWeight weight;
  weight.N = 5;
  weight.K = 96;
  const LinearChoice choice = choose_linear(weight, *scheme);
  format::WeightScheme encoder;
  encoder.format = choice.format;
  encoder.group_size = choice.group_size;
  encoder.symmetric = choice.symmetric;
  const std::vector<float> values(size_t{weight.N} * weight.K, 1.0f);
  const auto encoded =
      format::encode_weight(encoder, weight.N, weight.K, values);
  ASSERT_TRUE(encoded.ok()) << encoded.status().message();
  const auto bytes = encoded_bytes(choice, weight.N, weight.K);
  ASSERT_TRUE(bytes.ok()) << bytes.status().message();
  EXPECT_EQ(*bytes, encoded->bytes());
}

INSTANTIATE_TEST_SUITE_P(Schemes, EncodedBytes,
                         ::testing::Values("f32", "w16a16", "bf16", "w8a16",
                                           "w8a8_dynamic", "w4a16_g64",
                                           "w4a16_g64_asym", "w4a16_channel",
                                           "q4_0", "q4_1", "q5_0", "q5_1",
                                           "q8_0"));

TEST(EncodedBytes, RefusesRowsThatBlocksDoNotDivide) {
  LinearChoice choice;
  choice.format = TSR_WEIGHT_Q4_0;
  const auto bytes = encoded_bytes(choice, 1, 33);
  ASSERT_FALSE(bytes.ok());
  EXPECT_EQ(bytes.status().message(), "K=33 is not a multiple of 32");
}

TEST(ModelSize, TiedTensorCountsOnceInItsOwnType) {
  const auto loaded = load_model(kModel);
  ASSERT_TRUE(loaded.ok()) << loaded.status().message();
  const auto graph = build_graph(loaded->model->config, 1);
  ASSERT_TRUE(graph.ok());
  const auto bf16 = model_size(*graph, loaded->source, *find_scheme("bf16"));
  const auto f32 = model_size(*graph, loaded->source, *find_scheme("f32"));
  ASSERT_TRUE(bf16.ok() && f32.ok());
  const uint64_t head = uint64_t{2048} * 256;
  // Norms are kept in F32, all else in BF16.
  EXPECT_EQ(bf16->parameters, 5'246'592U);
  EXPECT_NEAR(bf16->bits_per_weight(), 16.0, 0.05);
  // In f32 the head is a tensor of its own beside the BF16 embedding.
  EXPECT_EQ(f32->parameters, bf16->parameters);
  EXPECT_EQ(f32->weight_bytes, 4 * f32->parameters + 2 * head);
}

TEST(ModelSize, KvCacheGrowsByWholeBlocks) {
  Graph graph;
  graph.kv = {{2, 32}, {2, 32}};
  // Two layers, K and V, 16 tokens of 2 heads of 32, 4 bytes each.
  EXPECT_EQ(*kv_cache_bytes(graph, TSR_KV_F32, 1, 16),
            2U * 2 * 16 * 2 * 32 * 4);
  EXPECT_EQ(*kv_cache_bytes(graph, TSR_KV_F32, 16, 16),
            *kv_cache_bytes(graph, TSR_KV_F32, 1, 16));
  EXPECT_EQ(*kv_cache_bytes(graph, TSR_KV_F32, 17, 16),
            2 * *kv_cache_bytes(graph, TSR_KV_F32, 16, 16));
}

}  // namespace
}  // namespace tessera::cli
