// SPDX-License-Identifier: Apache-2.0

#include "framework/bench/model_shapes.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tessera::bench {
namespace {

TEST(ModelShapes, NameThoseThereAre) {
  const auto found = find_model_shape("gpt-2");
  ASSERT_FALSE(found.ok());
  EXPECT_THAT(found.status().message(), testing::HasSubstr("qwen3-0.6b"));
  EXPECT_THAT(found.status().message(), testing::HasSubstr("llama3.1-70b"));
}

TEST(ModelShapes, GiveEachLinearShapeOnce) {
  const auto qwen = find_model_shape("qwen3-0.6b");
  ASSERT_TRUE(qwen.ok());
  const std::vector<LinearShape> shapes = linear_shapes(*qwen);
  ASSERT_EQ(shapes.size(), 5U);
  EXPECT_EQ(shapes[0].N, 2048);  // 16 heads of 128 from 1024
  EXPECT_EQ(shapes[0].K, 1024);
  const auto llama = find_model_shape("llama3.1-8b");
  ASSERT_TRUE(llama.ok());
  // The q and o projections are both 4096 x 4096.
  EXPECT_EQ(linear_shapes(*llama).size(), 4U);
}

// Published sizes, in billions: the linears of all layers and one table of the
// vocabulary, of which small models share one between both ends.
TEST(ModelShapes, AddUpToTheirNames) {
  const struct {
    const char* name;
    double billions;
  } kPublished[] = {{"qwen3-0.6b", 0.6},  {"qwen3-1.7b", 1.7},
                    {"qwen3-4b", 4.0},    {"qwen3-8b", 8.2},
                    {"qwen3-14b", 14.8},  {"qwen3-32b", 32.8},
                    {"llama3.1-8b", 8.0}, {"llama3.1-70b", 70.6}};
  for (const auto& [name, billions] : kPublished) {
    const auto found = find_model_shape(name);
    ASSERT_TRUE(found.ok());
    const ModelShape& m = *found;
    const int64_t q = m.num_q_heads * m.head_dim;
    const int64_t kv = m.num_kv_heads * m.head_dim;
    const int64_t layer =
        m.hidden_size * (2 * q + 2 * kv + 3 * m.intermediate_size);
    const bool shares_table = m.hidden_size < 4096;
    const int64_t all = layer * m.num_layers +
                        m.vocab_size * m.hidden_size * (shares_table ? 1 : 2);
    EXPECT_NEAR(1e-9 * static_cast<double>(all), billions, 0.03 * billions)
        << name;
  }
}

}  // namespace
}  // namespace tessera::bench
