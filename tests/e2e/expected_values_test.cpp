// SPDX-License-Identifier: Apache-2.0
//
// Logits and greedy text against Hugging Face transformers; the values and how
// they were made are in tests/data/expected.

#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

#include "tests/e2e/loaded_model.hpp"

namespace tessera::e2e {
namespace {

using nlohmann::json;

struct ModelCase {
  const char* name;
  bool shared;  // lies in the shared folder
};

class ExpectedValues : public ::testing::TestWithParam<ModelCase> {
 protected:
  void SetUp() override {
    const std::string name = GetParam().name;
    const std::string folder =
        GetParam().shared ? shared_model_folder(name) : default_model_folder();
    if (folder.empty()) GTEST_SKIP() << "no shared model " << name;
    std::ifstream file(std::string(TSR_SOURCE_DIR) + "/tests/data/expected/" +
                       name + ".json");
    expected_ = json::parse(file);
    LoadOptions options;
    options.session.max_outputs = 256;
    options.session.max_tokens = 256;
    auto loaded = load(folder, options);
    ASSERT_TRUE(loaded.ok()) << loaded.status().message();
    model_ = std::move(*loaded);
  }

  json expected_;
  std::unique_ptr<LoadedModel> model_;
};

// The last position, whole vocabulary: within 1e-4 of the largest logit.
TEST_P(ExpectedValues, LogitsAgreeWithTransformers) {
  for (const json& item : expected_["cases"]) {
    const auto ids = item["ids"].get<std::vector<int32_t>>();
    const auto wanted = item["logits"].get<std::vector<float>>();
    const auto sequence = model_->session->open_sequence();
    ASSERT_TRUE(sequence.ok());
    const Feed feed{*sequence, ids, TSR_PREFILL, 1};
    const Status status = model_->session->step({&feed, 1});
    ASSERT_TRUE(status.ok()) << status.message();
    float largest = 0.0f;
    for (const float value : wanted)
      largest = std::max(largest, std::abs(value));
    const auto logits = model_->session->logits(0);
    ASSERT_EQ(logits.size(), wanted.size());
    for (size_t i = 0; i < wanted.size(); ++i) {
      ASSERT_NEAR(logits[i], wanted[i], 1e-4f * largest)
          << item["text"] << " token " << i;
    }
    model_->session->close_sequence(*sequence);
  }
}

TEST_P(ExpectedValues, GreedyTokensEqualTransformers) {
  for (const json& item : expected_["cases"]) {
    const auto wanted = item["greedy_ids"].get<std::vector<int32_t>>();
    const auto made =
        model_->generate(item["ids"].get<std::vector<int32_t>>(), 48);
    ASSERT_TRUE(made.ok()) << made.status().message();
    EXPECT_EQ(made->tokens, wanted) << item["text"];
    EXPECT_EQ(made->reason == FinishReason::kEos,
              item["greedy_ended_by_eos"].get<bool>());
  }
}

// 256 steps from BOS alone reproduce the text published with the model.
TEST_P(ExpectedValues, GreedyTextEqualsThePublishedText) {
  if (!expected_.contains("published")) {
    GTEST_SKIP() << "no text is published for this model";
  }
  const json& published = expected_["published"];
  const auto wanted = published["greedy_ids"].get<std::vector<int32_t>>();
  const auto made =
      model_->generate(published["ids"].get<std::vector<int32_t>>(),
                       static_cast<uint32_t>(wanted.size()));
  ASSERT_TRUE(made.ok()) << made.status().message();
  EXPECT_EQ(made->tokens, wanted);
}

INSTANTIATE_TEST_SUITE_P(Models, ExpectedValues,
                         ::testing::Values(ModelCase{"tessera-5m", false},
                                           ModelCase{"tinystories656k", true},
                                           ModelCase{"stories260K", true}),
                         [](const auto& model) {
                           std::string name = model.param.name;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

}  // namespace
}  // namespace tessera::e2e
