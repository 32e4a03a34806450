// SPDX-License-Identifier: Apache-2.0
//
// A mix has the types that files of that name have.

#include "framework/quant/output/gguf_mix.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "framework/format/weight.hpp"

namespace tessera::quant {
namespace {

using ::testing::HasSubstr;

ModelConfig llama_8b() {
  ModelConfig config;
  config.hidden_size = 4096;
  config.intermediate_size = 14336;
  config.num_layers = 32;
  config.num_q_heads = 32;
  config.num_kv_heads = 8;
  config.head_dim = 128;
  return config;
}

// How many matrices have each type, the embedding and the head included.
std::map<std::string, int> count_types(const char* name,
                                       const ModelConfig& config,
                                       bool with_importance = false) {
  const GgufMix mix = *find_gguf_mix(name);
  SchemeRules rules;
  rules.default_scheme = format::weight_format_name(mix.format);
  add_gguf_rules(mix, config, with_importance, rules);
  std::map<std::string, int> counts;
  const int linears = static_cast<int>(config.num_layers * 7);
  counts[rules.default_scheme] =
      linears - static_cast<int>(rules.schemes.size());
  for (const auto& [module, scheme] : rules.schemes) ++counts[scheme];
  ++counts[format::weight_format_name(gguf_head_format(mix, config))];
  ++counts[format::weight_format_name(gguf_embedding_format(mix, config))];
  return counts;
}

// Source  what llama.cpp prints of published Llama-3-8B files: "type q4_K: 193
//         tensors, type q6_K: 33 tensors" of Q4_K_M, 193 q5_K and 33 q6_K of
//         Q5_K_M
TEST(GgufMix, HasAsManyTensorsOfEachTypeAsPublishedFiles) {
  using Counts = std::map<std::string, int>;
  EXPECT_EQ(count_types("q4_k_m", llama_8b()),
            (Counts{{"q4_k", 193}, {"q6_k", 33}}));
  EXPECT_EQ(count_types("q5_k_m", llama_8b()),
            (Counts{{"q5_k", 193}, {"q6_k", 33}}));
  EXPECT_EQ(count_types("q4_k_s", llama_8b()),
            (Counts{{"q4_k", 217}, {"q5_k", 8}, {"q6_k", 1}}));
  EXPECT_EQ(count_types("q8_0", llama_8b()), (Counts{{"q8_0", 226}}));
  EXPECT_EQ(count_types("q4_0", llama_8b()),
            (Counts{{"q4_0", 225}, {"q6_k", 1}}));
}

TEST(GgufMix, GivesEarlyDownProjectionsAMinWhereThereIsImportance) {
  EXPECT_EQ(count_types("q4_0", llama_8b(), true).at("q4_1"), 4);
  EXPECT_EQ(count_types("q5_0", llama_8b(), true).at("q5_1"), 4);
}

TEST(GgufMix, TakesBlocksOf32WhereThoseOf256DoNotFit) {
  ModelConfig config = llama_8b();
  config.hidden_size = 96;
  config.num_q_heads = 3;
  config.head_dim = 32;
  config.intermediate_size = 172;
  const std::map<std::string, int> counts = count_types("q4_k_m", config);
  // 16 of v_proj; down_proj has no whole blocks at all.
  EXPECT_EQ(counts.at("float"), 32);
  EXPECT_EQ(counts.at("q8_0"), 16 + 1);
  EXPECT_EQ(counts.at("q5_0"), 32 * 5 + 16 + 1);
  EXPECT_EQ(counts.at("q4_k"), 0);
}

TEST(GgufMix, NamesWhatGgufHas) {
  const auto mix = find_gguf_mix("w4a8");
  ASSERT_FALSE(mix.ok());
  EXPECT_THAT(mix.status().message(), HasSubstr("w4a8 has no GGUF type"));
  EXPECT_THAT(mix.status().message(), HasSubstr("q4_k_m"));
}

}  // namespace
}  // namespace tessera::quant
