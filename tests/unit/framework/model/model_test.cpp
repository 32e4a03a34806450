// SPDX-License-Identifier: Apache-2.0

#include "framework/model/model.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "framework/model/tensor_names.hpp"
#include "tests/unit/framework/model/scratch_folder.hpp"

namespace tessera {
namespace {

using nlohmann::json;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsSupersetOf;
using ::testing::Not;

constexpr const char* kConfig =
    R"({"model_type":"qwen3","hidden_size":8,"intermediate_size":12,
        "num_hidden_layers":1,"num_attention_heads":2,"num_key_value_heads":1,
        "head_dim":4,"vocab_size":3,"max_position_embeddings":16,
        "rms_norm_eps":1e-6,"tie_word_embeddings":true})";
constexpr const char* kTokenizer =
    R"({"model":{"type":"BPE","vocab":{"a":0,"b":1,"ab":2},"merges":["a b"]}})";

// Zeros for every tensor that `config` needs, changed by `change`.
template <typename Change>
std::string checkpoint_bytes(const ModelConfig& config, Change change) {
  std::vector<TensorSpec> specs = required_tensors(config);
  change(specs);
  json header = json::object();
  size_t end = 0;
  for (const TensorSpec& spec : specs) {
    size_t bytes = 2;
    for (const uint64_t extent : spec.shape) bytes *= extent;
    header[spec.name] = {{"dtype", "BF16"},
                         {"shape", spec.shape},
                         {"data_offsets", {end, end + bytes}}};
    end += bytes;
  }
  return safetensors_bytes(header.dump(), std::string(end, '\0'));
}

class OpenModel : public ::testing::Test {
 protected:
  OpenModel() {
    folder_.write("config.json", kConfig);
    folder_.write("tokenizer.json", kTokenizer);
  }

  template <typename Change>
  Result<Model> open(Change change) {
    const auto config = parse_config(kConfig, "config.json");
    folder_.write("model.safetensors", checkpoint_bytes(*config, change));
    return open_model(folder_.path());
  }

  ScratchFolder folder_;
};

TEST_F(OpenModel, AcceptsAWholeModel) {
  const auto model = open([](auto&) {});
  ASSERT_TRUE(model.ok()) << model.status().message();
  EXPECT_EQ(model->folder, folder_.path());
  EXPECT_EQ(model->config.head_dim, 4U);
  EXPECT_TRUE(model->source.tensor(kEmbeddingName).ok());
  EXPECT_THAT(*model->tokenizer.encode("ab"), ElementsAre(2));
}

TEST_F(OpenModel, NamesAMissingTensor) {
  const auto model = open([](auto& specs) { specs.pop_back(); });
  ASSERT_FALSE(model.ok());
  EXPECT_EQ(model.status().code(), TSR_NOT_FOUND);
  EXPECT_THAT(model.status().message(),
              HasSubstr("no tensor model.norm.weight, which Qwen3ForCausalLM"));
}

TEST_F(OpenModel, NamesBothShapesOfAMismatch) {
  const auto model = open([](auto& specs) { specs[0].shape = {4, 8}; });
  ASSERT_FALSE(model.ok());
  EXPECT_EQ(model.status().code(), TSR_INVALID_ARGUMENT);
  EXPECT_THAT(model.status().message(),
              HasSubstr("tensor model.embed_tokens.weight has shape [4, 8], "
                        "but config.json asks for [3, 8]"));
}

TEST_F(OpenModel, RefusesIdsThatTheEmbeddingLacks) {
  folder_.write("tokenizer.json", R"({"model":{"vocab":{"a":3},"merges":[]}})");
  const auto model = open([](auto&) {});
  ASSERT_FALSE(model.ok());
  EXPECT_THAT(model.status().message(),
              HasSubstr("ids up to 3, but config.json has vocab_size=3"));
}

TEST_F(OpenModel, NamesTheFileThatIsMissing) {
  std::filesystem::remove(folder_.path() + "/tokenizer.json");
  const auto model = open([](auto&) {});
  ASSERT_FALSE(model.ok());
  EXPECT_EQ(model.status().code(), TSR_NOT_FOUND);
  EXPECT_THAT(model.status().message(), HasSubstr("/tokenizer.json"));
}

TEST(TensorNames, FollowTheConfiguration) {
  ModelConfig config;
  config.hidden_size = 8;
  config.intermediate_size = 12;
  config.num_layers = 2;
  config.num_q_heads = 4;
  config.num_kv_heads = 2;
  config.head_dim = 4;
  config.vocab_size = 5;
  const auto names = [&config] {
    std::vector<std::string> result;
    for (const TensorSpec& spec : required_tensors(config)) {
      result.push_back(spec.name);
    }
    return result;
  };
  EXPECT_EQ(names().size(), 2 * 9U + 3U);
  EXPECT_THAT(names(), IsSupersetOf({std::string(kHeadName),
                                     std::string("model.layers.1.self_attn."
                                                 "o_proj.weight")}));
  config.tie_word_embeddings = true;
  config.qkv_bias = true;
  config.o_bias = true;
  config.mlp_bias = true;
  config.qk_norm = true;
  EXPECT_EQ(names().size(), 2 * 18U + 2U);
  EXPECT_THAT(names(), Not(::testing::Contains(kHeadName)));
}

struct RealModel {
  const char* folder;
  const char* family;
  uint32_t num_layers;
  size_t num_tensors;

  friend void PrintTo(const RealModel& model, std::ostream* out) {
    *out << model.folder;
  }
};

class RealModels : public ::testing::TestWithParam<RealModel> {};

TEST_P(RealModels, Open) {
  const std::string folder =
      std::string(TSR_SOURCE_DIR) + "/" + GetParam().folder;
  if (!std::filesystem::exists(folder)) {
    GTEST_SKIP() << folder << " is not here";
  }
  const auto model = open_model(folder);
  ASSERT_TRUE(model.ok()) << model.status().message();
  EXPECT_EQ(model->config.model_type, GetParam().family);
  EXPECT_EQ(model->config.num_layers, GetParam().num_layers);
  EXPECT_EQ(model->totals.tensors, GetParam().num_tensors);
  EXPECT_EQ(model->config.eos_ids.size(), 1U);
  EXPECT_TRUE(model->config.tie_word_embeddings);
  EXPECT_TRUE(model->source.tensor(kEmbeddingName).ok());
}

INSTANTIATE_TEST_SUITE_P(
    All, RealModels,
    ::testing::Values(RealModel{"models/tessera-5m", "qwen3", 6, 68},
                      RealModel{"../shared/models/stories260K", "llama", 5, 47},
                      RealModel{"../shared/models/tinystories656k", "llama", 2,
                                20}));

}  // namespace
}  // namespace tessera
