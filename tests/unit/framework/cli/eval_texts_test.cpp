// SPDX-License-Identifier: Apache-2.0

#include "framework/cli/eval/eval_texts.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <fstream>

namespace tessera::cli {
namespace {

using ::testing::HasSubstr;

constexpr const char* kModel = TSR_SOURCE_DIR "/models/tessera-5m";

uint64_t positions(const std::vector<Document>& documents) {
  uint64_t count = 0;
  for (const Document& document : documents) count += document.size() - 1;
  return count;
}

TEST(EvalTexts, LimitCutsTheLastDocumentAndDropsTheRest) {
  std::vector<Document> documents = {{1, 2, 3}, {4, 5, 6, 7}, {8, 9}};
  limit_positions(documents, 4);
  ASSERT_EQ(documents.size(), 2U);
  EXPECT_EQ(documents[1], (Document{4, 5, 6}));
  EXPECT_EQ(positions(documents), 4U);
}

TEST(EvalTexts, LimitThatFitsChangesNothing) {
  std::vector<Document> documents = {{1, 2, 3}, {4, 5}};
  for (const uint64_t limit : {3U, 4U}) {
    limit_positions(documents, limit);
    EXPECT_EQ(positions(documents), 3U);
  }
  limit_positions(documents, 2);
  EXPECT_EQ(documents.size(), 1U);
}

TEST(EvalTexts, DecodeTakesOneTokenPerSequence) {
  EvalTexts texts;
  texts.documents = {{1, 2}};
  texts.num_positions = 1;
  texts.longest = 2;
  const SessionOptions options = eval_session_options(texts, TSR_DECODE, 10);
  EXPECT_EQ(options.max_tokens, options.max_seqs);
  EXPECT_EQ(options.max_outputs, options.max_seqs);
  EXPECT_EQ(options.max_context, 2U);
}

TEST(EvalTexts, ALargeVocabularyTakesSmallerSteps) {
  EvalTexts texts;
  texts.longest = 4096;
  const SessionOptions small = eval_session_options(texts, TSR_PREFILL, 2048);
  const SessionOptions large =
      eval_session_options(texts, TSR_PREFILL, 152'000);
  EXPECT_EQ(small.max_tokens, 512U);
  EXPECT_LT(large.max_tokens, 512U);
  EXPECT_EQ(large.max_tokens, large.max_outputs);
}

TEST(EvalTexts, ReadsTheReportSplitOfTheDefaultModel) {
  const auto loaded = load_model(kModel);
  ASSERT_TRUE(loaded.ok()) << loaded.status().message();
  const auto texts = read_texts(*loaded->model, {});
  ASSERT_TRUE(texts.ok()) << texts.status().message();
  EXPECT_GE(texts->num_positions, 8000U);
  EXPECT_LE(texts->longest, loaded->model->config.max_positions);
}

// Source  ggml-org/llama.cpp, tools/perplexity/README.md
TEST(EvalTexts, LlamasWindowsCoverTheFileAndScoreTheirSecondHalf) {
  const auto loaded = load_model(kModel);
  ASSERT_TRUE(loaded.ok()) << loaded.status().message();
  EvalTextOptions options;
  options.llama_windows = true;
  options.context = 100;
  auto texts = read_texts(*loaded->model, options);
  ASSERT_TRUE(texts.ok()) << texts.status().message();
  EXPECT_EQ(texts->first_scored, 50u);
  EXPECT_EQ(texts->num_positions, texts->documents.size() * 49);
  for (const Document& window : texts->documents) {
    EXPECT_EQ(window.size(), 100u);
  }
  std::vector<DocumentScores> scores(texts->documents.size(),
                                     DocumentScores(99));
  texts->keep_scored(scores);
  EXPECT_EQ(scores.back().size(), 49u);

  options.limit = 60;
  texts = read_texts(*loaded->model, options);
  ASSERT_TRUE(texts.ok());
  EXPECT_EQ(texts->num_positions, 60u);
  EXPECT_EQ(texts->documents.back().size(), 62u);
}

TEST(EvalTexts, TwoWindowsAreTheLeast) {
  const auto loaded = load_model(kModel);
  ASSERT_TRUE(loaded.ok());
  const std::string path = testing::TempDir() + "/short_text.txt";
  std::ofstream(path) << "a few words";
  EvalTextOptions options;
  options.llama_windows = true;
  options.text = path;
  EXPECT_THAT(read_texts(*loaded->model, options).status().message(),
              HasSubstr("fewer than two windows of 512"));
  std::remove(path.c_str());
}

TEST(EvalTexts, NamesTheFlagThatIsWrong) {
  const auto loaded = load_model(kModel);
  ASSERT_TRUE(loaded.ok());
  EvalTextOptions options;
  options.context = 4096;
  EXPECT_THAT(read_texts(*loaded->model, options).status().message(),
              HasSubstr("--context 4096: the model goes up to 1024"));
  options = {};
  options.text = "/nonexistent.txt";
  EXPECT_THAT(read_texts(*loaded->model, options).status().message(),
              HasSubstr("/nonexistent.txt"));
}

}  // namespace
}  // namespace tessera::cli
