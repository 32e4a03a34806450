// SPDX-License-Identifier: Apache-2.0

#include "framework/model/config.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/unit/framework/model/scratch_folder.hpp"

namespace tessera {
namespace {

using nlohmann::json;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

json minimal() {
  return {{"model_type", "llama"},
          {"architectures", {"LlamaForCausalLM"}},
          {"hidden_size", 64},
          {"intermediate_size", 96},
          {"num_hidden_layers", 4},
          {"num_attention_heads", 8},
          {"num_key_value_heads", 2},
          {"vocab_size", 100},
          {"max_position_embeddings", 128},
          {"rms_norm_eps", 1e-5}};
}

json with(json base, const json& changes) {
  base.update(changes);
  return base;
}

json of_type(const char* model_type) {
  json config = minimal();
  config["model_type"] = model_type;
  config.erase("architectures");
  return config;
}

Result<ModelConfig> parse(const json& config) {
  return parse_config(config.dump(), "config.json");
}

ModelConfig parsed(const json& config) {
  Result<ModelConfig> result = parse(config);
  EXPECT_TRUE(result.ok()) << result.status().message();
  return result.ok() ? std::move(*result) : ModelConfig();
}

TEST(Config, ReadsALlama) {
  const ModelConfig config = parsed(minimal());
  EXPECT_EQ(config.architecture, "LlamaForCausalLM");
  EXPECT_EQ(config.family, ModelFamily::kLlama);
  EXPECT_EQ(config.hidden_size, 64U);
  EXPECT_EQ(config.intermediate_size, 96U);
  EXPECT_EQ(config.num_layers, 4U);
  EXPECT_EQ(config.num_q_heads, 8U);
  EXPECT_EQ(config.num_kv_heads, 2U);
  EXPECT_EQ(config.head_dim, 8U);
  EXPECT_EQ(config.vocab_size, 100U);
  EXPECT_EQ(config.max_positions, 128U);
  EXPECT_EQ(config.rms_eps, 1e-5f);
  EXPECT_EQ(config.activation, Activation::kSilu);
  EXPECT_EQ(config.rope.type, RopeType::kDefault);
  EXPECT_EQ(config.rope.theta, 10000.0);
  EXPECT_FALSE(config.qkv_bias || config.o_bias || config.mlp_bias);
  EXPECT_FALSE(config.qk_norm || config.tie_word_embeddings);
  EXPECT_THAT(config.layer_windows, ElementsAre(0, 0, 0, 0));
  EXPECT_THAT(config.eos_ids, IsEmpty());
  EXPECT_EQ(config.bos_id, std::nullopt);
}

TEST(Config, KnowsWhatEachFamilyAdds) {
  const ModelConfig llama =
      parsed(with(minimal(), {{"attention_bias", true}, {"mlp_bias", true}}));
  EXPECT_TRUE(llama.qkv_bias && llama.o_bias && llama.mlp_bias);
  EXPECT_FALSE(llama.qk_norm);

  const ModelConfig qwen2 = parsed(of_type("qwen2"));
  EXPECT_EQ(qwen2.architecture, "Qwen2ForCausalLM");
  EXPECT_TRUE(qwen2.qkv_bias);
  EXPECT_FALSE(qwen2.o_bias || qwen2.mlp_bias || qwen2.qk_norm);

  const ModelConfig qwen3 = parsed(of_type("qwen3"));
  EXPECT_TRUE(qwen3.qk_norm);
  EXPECT_FALSE(qwen3.qkv_bias || qwen3.o_bias || qwen3.mlp_bias);
  EXPECT_EQ(qwen3.head_dim, 128U);
  EXPECT_EQ(parsed(with(of_type("qwen3"), {{"head_dim", 32}})).head_dim, 32U);

  const ModelConfig mistral = parsed(of_type("mistral"));
  EXPECT_EQ(mistral.family, ModelFamily::kLlama);
  EXPECT_FALSE(mistral.qkv_bias);
}

TEST(Config, GivesEachLayerItsWindow) {
  EXPECT_THAT(parsed(of_type("mistral")).layer_windows, Each(4096));
  EXPECT_THAT(
      parsed(with(of_type("mistral"), {{"sliding_window", 7}})).layer_windows,
      ElementsAre(7, 7, 7, 7));
  EXPECT_THAT(parsed(with(of_type("mistral"), {{"sliding_window", nullptr}}))
                  .layer_windows,
              Each(0));

  const json qwen = with(of_type("qwen2"), {{"use_sliding_window", true},
                                            {"sliding_window", 9},
                                            {"max_window_layers", 3}});
  EXPECT_THAT(parsed(qwen).layer_windows, ElementsAre(0, 0, 0, 9));
  EXPECT_THAT(parsed(with(qwen, {{"use_sliding_window", false}})).layer_windows,
              Each(0));
  const char* full = "full_attention";
  const char* sliding = "sliding_attention";
  EXPECT_THAT(
      parsed(with(qwen, {{"layer_types", {sliding, full, sliding, full}}}))
          .layer_windows,
      ElementsAre(9, 0, 9, 0));
  EXPECT_FALSE(parse(with(qwen, {{"layer_types", {full}}})).ok());
  EXPECT_FALSE(
      parse(with(qwen, {{"layer_types", {full, full, full, "linear"}}})).ok());
}

TEST(Config, CollectsEveryEosId) {
  ModelConfig config = parsed(
      with(minimal(), {{"eos_token_id", {9, 3, 9}}, {"bos_token_id", 1}}));
  EXPECT_THAT(config.eos_ids, ElementsAre(3, 9));
  EXPECT_EQ(config.bos_id, 1);
  ASSERT_TRUE(
      parse_generation_config(R"({"eos_token_id":5})", "g", config).ok());
  EXPECT_THAT(config.eos_ids, ElementsAre(3, 5, 9));
  EXPECT_EQ(config.bos_id, 1);
  EXPECT_FALSE(
      parse_generation_config(R"({"eos_token_id":"5"})", "g", config).ok());
  EXPECT_FALSE(
      parse_generation_config(R"({"eos_token_id":[-1]})", "g", config).ok());
}

TEST(Config, ReadsBothFilesOfAFolder) {
  const ScratchFolder folder;
  folder.write("config.json", with(minimal(), {{"eos_token_id", 2}}).dump());
  EXPECT_THAT(read_config(folder.path())->eos_ids, ElementsAre(2));
  folder.write("generation_config.json", R"({"eos_token_id":[7,2]})");
  EXPECT_THAT(read_config(folder.path())->eos_ids, ElementsAre(2, 7));
  EXPECT_EQ(read_config(folder.path() + "/none").status().code(),
            TSR_NOT_FOUND);
}

TEST(Config, ReadsOldAndNewSpellingOfRope) {
  const json yarn = {{"type", "yarn"},
                     {"factor", 4.0},
                     {"original_max_position_embeddings", 32}};
  const ModelConfig old_way =
      parsed(with(minimal(), {{"rope_theta", 5e5}, {"rope_scaling", yarn}}));
  EXPECT_EQ(old_way.rope.type, RopeType::kYarn);
  EXPECT_EQ(old_way.rope.theta, 5e5);
  EXPECT_EQ(old_way.rope.factor, 4.0);
  EXPECT_EQ(old_way.rope.original_max_positions, 32U);
  EXPECT_EQ(old_way.rope.beta_fast, 32.0);
  EXPECT_EQ(old_way.rope.attention_factor, std::nullopt);

  const json llama3 = {{"rope_type", "llama3"},
                       {"rope_theta", 1e6},
                       {"factor", 8},
                       {"low_freq_factor", 1},
                       {"high_freq_factor", 4}};
  const ModelConfig new_way =
      parsed(with(minimal(), {{"rope_parameters", llama3}}));
  EXPECT_EQ(new_way.rope.type, RopeType::kLlama3);
  EXPECT_EQ(new_way.rope.theta, 1e6);
  EXPECT_EQ(new_way.rope.original_max_positions, 128U);

  const json mscale = with(yarn, {{"mscale", 1.0},
                                  {"mscale_all_dim", 0.5},
                                  {"attention_factor", 1.25},
                                  {"beta_fast", 16},
                                  {"truncate", false}});
  const RopeConfig full =
      parsed(with(minimal(), {{"rope_scaling", mscale}})).rope;
  EXPECT_EQ(full.mscale_all_dim, 0.5);
  EXPECT_EQ(full.attention_factor, 1.25);
  EXPECT_EQ(full.beta_fast, 16.0);
  EXPECT_FALSE(full.truncate);
}

TEST(Config, TakesTheYarnFactorFromTheLengths) {
  const json yarn = {{"type", "yarn"},
                     {"original_max_position_embeddings", 32}};
  EXPECT_EQ(parsed(with(minimal(), {{"rope_scaling", yarn}})).rope.factor, 4.0);
}

struct BadConfig {
  json changes;
  tsr_status code;
  const char* message;

  friend void PrintTo(const BadConfig& bad, std::ostream* out) {
    *out << bad.changes.dump();
  }
};

class ConfigErrors : public ::testing::TestWithParam<BadConfig> {};

TEST_P(ConfigErrors, NameTheKeyAndTheClash) {
  const auto config = parse(with(minimal(), GetParam().changes));
  ASSERT_FALSE(config.ok());
  EXPECT_EQ(config.status().code(), GetParam().code)
      << config.status().message();
  EXPECT_THAT(config.status().message(), HasSubstr("config.json: "));
  EXPECT_THAT(config.status().message(), HasSubstr(GetParam().message));
}

json scaled(const json& scaling) { return {{"rope_scaling", scaling}}; }

INSTANTIATE_TEST_SUITE_P(
    Invalid, ConfigErrors,
    ::testing::Values(
        BadConfig{{{"hidden_size", 0}},
                  TSR_INVALID_ARGUMENT,
                  "hidden_size is 0, expected 1 to"},
        BadConfig{
            {{"hidden_size", -64}}, TSR_INVALID_ARGUMENT, "hidden_size is -64"},
        BadConfig{{{"hidden_size", 1e300}},
                  TSR_INVALID_ARGUMENT,
                  "hidden_size is number, expected an integer"},
        BadConfig{{{"hidden_size", UINT64_MAX}},
                  TSR_INVALID_ARGUMENT,
                  "hidden_size is 18446744073709551615"},
        BadConfig{{{"hidden_size", "64"}},
                  TSR_INVALID_ARGUMENT,
                  "hidden_size is string"},
        BadConfig{{{"hidden_size", nullptr}},
                  TSR_INVALID_ARGUMENT,
                  "hidden_size is missing"},
        BadConfig{{{"num_key_value_heads", 3}},
                  TSR_INVALID_ARGUMENT,
                  "num_attention_heads =8 is not a multiple of"},
        BadConfig{{{"hidden_size", 60}},
                  TSR_INVALID_ARGUMENT,
                  "hidden_size =60 is not a multiple of"},
        BadConfig{
            {{"head_dim", 7}}, TSR_INVALID_ARGUMENT, "head_dim =7 is odd"},
        BadConfig{{{"num_attention_heads", 65536}, {"head_dim", 16384}},
                  TSR_INVALID_ARGUMENT,
                  "is wider than"},
        BadConfig{{{"rms_norm_eps", -1.0}},
                  TSR_INVALID_ARGUMENT,
                  "rms_norm_eps is -1"},
        BadConfig{{{"rope_theta", 0}},
                  TSR_INVALID_ARGUMENT,
                  "rope_theta is 0, expected 1.001 to"},
        BadConfig{{{"tie_word_embeddings", 1}},
                  TSR_INVALID_ARGUMENT,
                  "tie_word_embeddings is number, expected a boolean"},
        BadConfig{{{"eos_token_id", 1.5}},
                  TSR_INVALID_ARGUMENT,
                  "eos_token_id holds something else than ids"},
        BadConfig{{{"eos_token_id", {1, INT64_MAX}}},
                  TSR_INVALID_ARGUMENT,
                  "eos_token_id holds 9223372036854775807"},
        BadConfig{{{"architectures", {1}}},
                  TSR_INVALID_ARGUMENT,
                  "architectures holds something else"},
        BadConfig{scaled({{"type", "linear"}}), TSR_INVALID_ARGUMENT,
                  "rope_scaling: factor is missing"},
        BadConfig{scaled({{"type", "linear"}, {"factor", 0}}),
                  TSR_INVALID_ARGUMENT, "rope_scaling: factor is 0"},
        BadConfig{scaled({{"type", "llama3"},
                          {"factor", 8},
                          {"low_freq_factor", 4},
                          {"high_freq_factor", 4}}),
                  TSR_INVALID_ARGUMENT, "less than high_freq_factor=4"},
        BadConfig{scaled(7), TSR_INVALID_ARGUMENT,
                  "rope_scaling: is number, expected an object"}));

INSTANTIATE_TEST_SUITE_P(
    Unimplemented, ConfigErrors,
    ::testing::Values(
        BadConfig{{{"model_type", "mixtral"},
                   {"architectures", {"MixtralForCausalLM"}},
                   {"num_local_experts", 8}},
                  TSR_UNIMPLEMENTED,
                  "\"mixtral\" with architecture \"MixtralForCausalLM\" is a "
                  "mixture of experts (num_local_experts=8); supported are"},
        BadConfig{{{"model_type", "qwen3_moe"}},
                  TSR_UNIMPLEMENTED,
                  "is a mixture of experts"},
        BadConfig{{{"num_experts", 60}}, TSR_UNIMPLEMENTED, "num_experts=60"},
        BadConfig{{{"model_type", "gemma2"}},
                  TSR_UNIMPLEMENTED,
                  "model_type \"gemma2\""},
        BadConfig{{{"architectures", {"LlamaForSequenceClassification"}}},
                  TSR_UNIMPLEMENTED,
                  "LlamaForSequenceClassification"},
        BadConfig{{{"model_type", nullptr}, {"architectures", nullptr}},
                  TSR_UNIMPLEMENTED,
                  "model_type \"\""},
        BadConfig{{{"hidden_act", "relu"}},
                  TSR_UNIMPLEMENTED,
                  "hidden_act=relu is not supported; silu, gelu"},
        BadConfig{scaled({{"type", "longrope"}, {"factor", 2}}),
                  TSR_UNIMPLEMENTED, "type=longrope is not supported; default"},
        BadConfig{{{"rope_parameters",
                    {{"full_attention", {{"rope_type", "default"}}}}}},
                  TSR_UNIMPLEMENTED,
                  "full_attention: other frequencies"},
        BadConfig{{{"partial_rotary_factor", 0.5}},
                  TSR_UNIMPLEMENTED,
                  "partial_rotary_factor=0.5"}));

}  // namespace
}  // namespace tessera
