// SPDX-License-Identifier: Apache-2.0

#include "framework/cli/run/prompts.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "framework/cli/loaded_model.hpp"

namespace tessera::cli {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr const char* kModel = TSR_SOURCE_DIR "/models/tessera-5m";

std::string write_file(const std::string& name, const std::string& text) {
  const std::string path = ::testing::TempDir() + name;
  std::ofstream(path, std::ios::binary) << text;
  return path;
}

TEST(Prompts, FilesFollowTextsAndLoseOneNewline) {
  PromptOptions options;
  options.texts = {"one"};
  options.files = {write_file("prompt.txt", "two\n\n")};
  const auto prompts = read_prompts(options);
  ASSERT_TRUE(prompts.ok()) << prompts.status().message();
  EXPECT_THAT(*prompts, ElementsAre("one", "two\n"));
}

TEST(Prompts, NamesAFileThatIsMissingOrEmpty) {
  PromptOptions options;
  options.files = {"/nonexistent/prompt.txt"};
  EXPECT_THAT(read_prompts(options).status().message(),
              HasSubstr("-f /nonexistent/prompt.txt: cannot be opened"));
  options.files = {write_file("empty.txt", "\n")};
  EXPECT_THAT(read_prompts(options).status().message(), HasSubstr("is empty"));
}

TEST(Prompts, RefusesWhatDoesNotFitTheContext) {
  const auto loaded = load_model(kModel);
  ASSERT_TRUE(loaded.ok()) << loaded.status().message();
  const auto fits = encode_prompts(*loaded->model, {"a library"}, {}, 1024);
  ASSERT_TRUE(fits.ok()) << fits.status().message();
  const auto tokens = static_cast<uint32_t>(fits->tokens.front().size());
  EXPECT_TRUE(encode_prompts(*loaded->model, {"a library"}, {}, tokens).ok());
  EXPECT_THAT(encode_prompts(*loaded->model, {"a library"}, {}, tokens - 1)
                  .status()
                  .message(),
              HasSubstr("prompt 1 has"));
}

TEST(Prompts, ChatNeedsATemplate) {
  const auto loaded = load_model(kModel);
  ASSERT_TRUE(loaded.ok());
  PromptOptions chat;
  chat.chat = true;
  EXPECT_THAT(
      encode_prompts(*loaded->model, {"hello"}, chat, 1024).status().message(),
      HasSubstr("--chat"));
}

}  // namespace
}  // namespace tessera::cli
