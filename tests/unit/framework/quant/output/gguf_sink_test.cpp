// SPDX-License-Identifier: Apache-2.0
//
// A GGUF file runs as the quantized model in memory does, to the last bit.

#include "framework/quant/output/gguf_sink.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <random>

#include "framework/eval/oracle.hpp"
#include "framework/model/build_graph.hpp"
#include "framework/model/gguf/gguf.hpp"
#include "framework/model/model.hpp"
#include "framework/model/tensor_names.hpp"
#include "framework/quant/block/block_parts.hpp"
#include "framework/quant/output/quantized_weights.hpp"
#include "tessera/ops.h"
#include "tests/unit/framework/model/scratch_folder.hpp"

namespace tessera::quant {
namespace {

using ::testing::HasSubstr;

constexpr const char* kOwnModel = "models/tessera-5m";
constexpr const char* kLlama = "../shared/models/stories260K";
constexpr const char* kTiedLlama = "../shared/models/tinystories656k";

Recipe recipe_of(const GgufMix& mix, const ModelConfig& config) {
  Recipe recipe;
  recipe.schemes.fallback_scheme = "float";
  recipe.schemes.default_scheme = find_scheme(mix.name).ok()
                                      ? mix.name
                                      : format::weight_format_name(mix.format);
  add_gguf_rules(mix, config, false, recipe.schemes);
  return recipe;
}

// The embedding or head as the file is to have it.
Status round_in_memory(const Model& model, const std::string& name,
                       uint32_t weight_format, QuantizedWeights& weights) {
  if (weight_format == 0) return {};
  TSR_ASSIGN_OR_RETURN(const SourceTensor tensor, model.source.tensor(name));
  TSR_ASSIGN_OR_RETURN(format::WeightData weight,
                       encode_tensor(tensor, weight_format, run_serially()));
  return weights.put_weight(name, std::move(weight),
                            {weight_format, 0, true, TSR_ACT_FLOAT});
}

Result<std::vector<float>> logits_of(const ModelConfig& config,
                                     const WeightSource& source) {
  TSR_ASSIGN_OR_RETURN(Graph graph, build_graph(config, 16));
  mark_stored(source, graph);
  TSR_ASSIGN_OR_RETURN(Scheme scheme, find_scheme("f32"));
  scheme.as_stored = true;
  TSR_ASSIGN_OR_RETURN(
      const Oracle oracle,
      Oracle::create(graph, uniform_plan(graph, "cpu", scheme), source));
  const std::vector<int32_t> tokens = {1, 300, 45, 410, 77, 2};
  return oracle.logits(tokens, TSR_PREFILL);
}

struct Case {
  const char* folder;
  const char* mix;
};

class GgufFile : public ::testing::TestWithParam<Case> {
 protected:
  void SetUp() override {
    const std::string folder =
        std::string(TSR_SOURCE_DIR) + "/" + GetParam().folder;
    if (!std::filesystem::exists(folder)) {
      GTEST_SKIP() << folder << " is not here";
    }
    auto model = open_model(folder);
    ASSERT_TRUE(model.ok()) << model.status().message();
    model_ = std::make_unique<Model>(std::move(*model));
  }

  Status write(const GgufMix& mix, const std::string& path) {
    TSR_ASSIGN_OR_RETURN(const std::unique_ptr<GgufSink> sink,
                         GgufSink::create({model_->config, model_->source,
                                           model_->folder, mix, path}));
    return quantize_model({model_->config, model_->source, nullptr, {}},
                          recipe_of(mix, model_->config), *sink)
        .status();
  }

  std::unique_ptr<Model> model_;
};

TEST_P(GgufFile, GivesTheLogitsOfTheModelInMemory) {
  const auto mix = find_gguf_mix(GetParam().mix);
  ASSERT_TRUE(mix.ok()) << mix.status().message();
  const ScratchFolder scratch;
  const std::string path = scratch.path() + "/model.gguf";
  const Status written = write(*mix, path);
  ASSERT_TRUE(written.ok()) << written.message();
  EXPECT_FALSE(std::filesystem::exists(path + ".partial"));

  QuantizedWeights weights;
  const ModelConfig& config = model_->config;
  ASSERT_TRUE(quantize_model({config, model_->source, nullptr, {}},
                             recipe_of(*mix, config), weights)
                  .ok());
  const bool tied = config.tie_word_embeddings;
  const uint32_t head = gguf_head_format(*mix, config);
  ASSERT_TRUE(round_in_memory(*model_, kEmbeddingName,
                              tied ? head : gguf_embedding_format(*mix, config),
                              weights)
                  .ok());
  if (!tied) {
    ASSERT_TRUE(round_in_memory(*model_, kHeadName, head, weights).ok());
  }
  const auto expected = logits_of(config, weights.source(model_->source));
  ASSERT_TRUE(expected.ok()) << expected.status().message();

  const auto back = open_model(path);
  ASSERT_TRUE(back.ok()) << back.status().message();
  const auto found = logits_of(back->config, back->source);
  ASSERT_TRUE(found.ok()) << found.status().message();
  EXPECT_EQ(*found, *expected);
}

std::vector<Case> cases() {
  std::vector<Case> all;
  for (const char* mix :
       {"f32", "w16a16", "bf16", "q4_0", "q4_1", "q5_0", "q5_1", "q8_0", "q4_k",
        "q5_k", "q6_k", "q4_k_s", "q4_k_m", "q5_k_m", "mxfp4", "nvfp4"}) {
    all.push_back({kOwnModel, mix});
  }
  for (const char* folder : {kLlama, kTiedLlama}) {
    for (const char* mix : {"w16a16", "q4_0", "q4_k_m", "mxfp4", "nvfp4"}) {
      all.push_back({folder, mix});
    }
  }
  return all;
}

INSTANTIATE_TEST_SUITE_P(All, GgufFile, ::testing::ValuesIn(cases()),
                         [](const auto& row) {
                           const std::string folder = row.param.folder;
                           const std::string name =
                               folder.substr(folder.rfind('/') + 1);
                           return (name == "tessera-5m" ? "tessera5m" : name) +
                                  "_" + row.param.mix;
                         });

// Weighted squared error of all block linears of a file.
double weighted_error(
    const Model& model, const Model& file,
    const std::map<std::string, std::vector<float>>& columns) {
  double sum = 0.0;
  for (const auto& [name, weights] : columns) {
    const auto before = read_values(model.source, name, 768 * 256);
    const auto after = read_values(file.source, name, 768 * 256);
    if (!before.ok() || !after.ok()) continue;
    for (size_t i = 0; i < before->size(); ++i) {
      const double error = double{(*before)[i]} - double{(*after)[i]};
      sum += error * error * weights[i % weights.size()];
    }
  }
  return sum;
}

TEST(GgufSink, ErrsLessWhereAnImatrixSaysItMatters) {
  const auto model = open_model(std::string(TSR_SOURCE_DIR) + "/" + kOwnModel);
  ASSERT_TRUE(model.ok()) << model.status().message();
  std::mt19937 rng(42);
  std::lognormal_distribution<float> spread(0.0f, 2.0f);
  std::map<std::string, std::vector<float>> importance;
  for (uint32_t layer = 0; layer < model->config.num_layers; ++layer) {
    std::vector<float>& columns =
        importance[layer_tensor_names(layer).gate_proj];
    columns.resize(256);
    for (float& column : columns) column = spread(rng);
  }
  const ScratchFolder scratch;
  for (const char* name : {"q4_0", "q5_1", "q4_k", "q6_k"}) {
    const GgufMix mix = *find_gguf_mix(name);
    double errors[2] = {};
    for (const bool weighted : {false, true}) {
      const std::string path =
          scratch.path() + "/" + name + (weighted ? "1" : "0");
      QuantizeInputs inputs{model->config, model->source, nullptr, {}};
      if (weighted) inputs.importance = &importance;
      const auto sink = GgufSink::create(
          {model->config, model->source, model->folder, mix, path});
      ASSERT_TRUE(sink.ok()) << sink.status().message();
      ASSERT_TRUE(
          quantize_model(inputs, recipe_of(mix, model->config), **sink).ok());
      const auto file = open_model(path);
      ASSERT_TRUE(file.ok()) << file.status().message();
      errors[weighted] = weighted_error(*model, *file, importance);
    }
    EXPECT_GT(errors[0], 0.0);
    EXPECT_LT(errors[1], errors[0]) << name;
  }
}

TEST(GgufSink, LeavesNothingBehindUnlessItIsFinished) {
  const std::string folder = std::string(TSR_SOURCE_DIR) + "/" + kOwnModel;
  const auto model = open_model(folder);
  ASSERT_TRUE(model.ok()) << model.status().message();
  const ScratchFolder scratch;
  const std::string path = scratch.path() + "/a.gguf";
  {
    const auto sink =
        GgufSink::create({model->config, model->source, model->folder,
                          *find_gguf_mix("q4_0"), path});
    ASSERT_TRUE(sink.ok()) << sink.status().message();
    ASSERT_TRUE((*sink)->resume("").ok());
    ASSERT_TRUE((*sink)->keep(kFinalNormName).ok());
    EXPECT_THAT((*sink)->keep("model.rotary.weight").message(),
                HasSubstr("model.rotary.weight"));
    EXPECT_TRUE(std::filesystem::exists(path + ".partial"));
  }
  EXPECT_TRUE(std::filesystem::is_empty(scratch.path()));
}

// Stops after the first two tensors, then makes the rest of them.
TEST(GgufSink, GoesOnFromACheckpointOfTheSameWorkOnly) {
  const std::string folder = std::string(TSR_SOURCE_DIR) + "/" + kOwnModel;
  const auto model = open_model(folder);
  ASSERT_TRUE(model.ok()) << model.status().message();
  const ScratchFolder scratch;
  const std::string path = scratch.path() + "/a.gguf";
  const auto open = [&] {
    auto sink = GgufSink::create({model->config, model->source, model->folder,
                                  *find_gguf_mix("q4_0"), path});
    EXPECT_TRUE(sink.ok()) << sink.status().message();
    return std::move(*sink);
  };
  const std::vector<float> hidden = {1.0f, -2.0f};
  {
    const auto sink = open();
    ASSERT_EQ(sink->resume("work")->num_layers, 0U);
    ASSERT_TRUE(sink->keep(kFinalNormName).ok());
    ASSERT_TRUE(sink->checkpoint(1, "notes", hidden).ok());
    ASSERT_TRUE(sink->keep(kEmbeddingName).ok());
  }
  {
    const auto sink = open();
    const auto found = sink->resume("work");
    ASSERT_TRUE(found.ok()) << found.status().message();
    EXPECT_EQ(found->num_layers, 1U);
    EXPECT_EQ(found->notes, "notes");
    EXPECT_EQ(found->hidden, hidden);
    ASSERT_TRUE(sink->checkpoint(1, "notes", hidden).ok());
  }
  {
    const auto sink = open();
    ASSERT_EQ(sink->resume("work")->num_layers, 1U);
    ASSERT_TRUE(sink->keep(kEmbeddingName).ok());
    ASSERT_TRUE(sink->finish().ok());
  }
  EXPECT_FALSE(std::filesystem::exists(path + ".partial"));
  const auto file = Gguf::open(path);
  ASSERT_TRUE(file.ok()) << file.status().message();
  EXPECT_EQ(file->tensors().size(), 2U);
  {
    const auto sink = open();
    ASSERT_EQ(sink->resume("work")->num_layers, 0U);
    ASSERT_TRUE(sink->checkpoint(1, "notes", {}).ok());
  }
  EXPECT_EQ(open()->resume("other work")->num_layers, 0U);
}

TEST(GgufSink, SaysWhichFolderIsMissing) {
  const std::string folder = std::string(TSR_SOURCE_DIR) + "/" + kOwnModel;
  const auto model = open_model(folder);
  ASSERT_TRUE(model.ok()) << model.status().message();
  for (const std::string& parent : {folder + "/config.json", folder + "/no"}) {
    const auto sink =
        GgufSink::create({model->config, model->source, model->folder,
                          *find_gguf_mix("q4_0"), parent + "/a.gguf"});
    ASSERT_FALSE(sink.ok());
    EXPECT_THAT(sink.status().message(), HasSubstr(parent + " is no folder"));
    EXPECT_FALSE(std::filesystem::is_directory(parent));
  }
}

}  // namespace
}  // namespace tessera::quant
