// SPDX-License-Identifier: Apache-2.0

#include "framework/model/tokenizer/pre_tokenizer.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tessera {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using Words = std::vector<std::string>;

Words split(const std::string& json, const std::string& text,
            bool at_start = true, bool add_prefix = true) {
  const auto steps =
      PreTokenizer::from_json(nlohmann::json::parse(json), "pre_tokenizer");
  EXPECT_TRUE(steps.ok()) << steps.status().message();
  if (!steps.ok()) return {};
  auto words = steps->split({text, at_start}, add_prefix);
  EXPECT_TRUE(words.ok()) << words.status().message();
  return words.ok() ? *words : Words();
}

std::string dash_split(const std::string& behavior, bool invert = false) {
  return R"({"type":"Split","pattern":{"String":"-"},"behavior":")" + behavior +
         R"(","invert":)" + (invert ? "true}" : "false}");
}

// The text and the words are those of tokenizers' own test of split().
TEST(PreTokenizer, SplitsByEachBehavior) {
  const char* text = "The-final--countdown";
  EXPECT_THAT(split(dash_split("Removed"), text),
              ElementsAre("The", "final", "countdown"));
  EXPECT_THAT(split(dash_split("Isolated"), text),
              ElementsAre("The", "-", "final", "-", "-", "countdown"));
  EXPECT_THAT(split(dash_split("MergedWithPrevious"), text),
              ElementsAre("The-", "final-", "-", "countdown"));
  EXPECT_THAT(split(dash_split("MergedWithNext"), text),
              ElementsAre("The", "-final", "-", "-countdown"));
  EXPECT_THAT(split(dash_split("Contiguous"), text),
              ElementsAre("The", "-", "final", "--", "countdown"));
  EXPECT_THAT(split(dash_split("Removed", true), text),
              ElementsAre("-", "-", "-"));
}

TEST(PreTokenizer, HandlesMatchesAtTheEdges) {
  EXPECT_THAT(split(dash_split("MergedWithNext"), "-a-"),
              ElementsAre("-a", "-"));
  EXPECT_THAT(split(dash_split("MergedWithPrevious"), "-a-"),
              ElementsAre("-", "a-"));
  EXPECT_THAT(split(dash_split("Removed"), "--"), IsEmpty());
  EXPECT_THAT(split(dash_split("Isolated"), ""), IsEmpty());
}

TEST(PreTokenizer, NeverRemovesBrokenBytes) {
  EXPECT_THAT(split(dash_split("Removed"), "a\xff-b"),
              ElementsAre("a", "\xff", "b"));
  EXPECT_THAT(split(dash_split("Removed", true), "a\xff-b"),
              ElementsAre("\xff", "-"));
}

TEST(PreTokenizer, ByteLevelSplitsAndSpellsBytes) {
  const char* json = R"({"type":"ByteLevel","add_prefix_space":true})";
  EXPECT_THAT(split(json, "it's 42 \xc3\xa9"),
              ElementsAre("\xc4\xa0it", "'s",
                          "\xc4\xa0"
                          "42",
                          "\xc4\xa0\xc3\x83\xc2\xa9"));
  EXPECT_THAT(split(json, "a", true, false), ElementsAre("a"));
}

TEST(PreTokenizer, MetaspacePutsItsMarkBySchemeAndPlace) {
  const auto json = [](const char* scheme) {
    return R"({"type":"Metaspace","replacement":"_","prepend_scheme":")" +
           std::string(scheme) + R"("})";
  };
  EXPECT_THAT(split(json("always"), "a b"), ElementsAre("_a", "_b"));
  EXPECT_THAT(split(json("always"), " a"), ElementsAre("_a"));
  EXPECT_THAT(split(json("first"), "a b"), ElementsAre("_a", "_b"));
  EXPECT_THAT(split(json("first"), "a b", false), ElementsAre("a", "_b"));
  EXPECT_THAT(split(json("never"), "a b"), ElementsAre("a", "_b"));
  EXPECT_THAT(split(json("always"), "a b", true, false),
              ElementsAre("a", "_b"));
  EXPECT_THAT(
      split(R"({"type":"Metaspace","replacement":"_","split":false})", "a b"),
      ElementsAre("_a_b"));
}

TEST(PreTokenizer, CutsNumbersWordsAndMarks) {
  EXPECT_THAT(split(R"({"type":"Digits","individual_digits":true})", "a12"),
              ElementsAre("a", "1", "2"));
  EXPECT_THAT(split(R"({"type":"Digits"})", "a12b"),
              ElementsAre("a", "12", "b"));
  EXPECT_THAT(split(R"({"type":"Whitespace"})", "it's  ok"),
              ElementsAre("it", "'", "s", "ok"));
  EXPECT_THAT(split(R"({"type":"WhitespaceSplit"})", "it's  ok"),
              ElementsAre("it's", "ok"));
  EXPECT_THAT(split(R"({"type":"Punctuation"})", "a,.b"),
              ElementsAre("a", ",", ".", "b"));
}

TEST(PreTokenizer, RunsASequenceInOrder) {
  EXPECT_THAT(split(R"({"type":"Sequence","pretokenizers":[
               {"type":"WhitespaceSplit"},
               {"type":"Digits","individual_digits":true}]})",
                    "a1 2"),
              ElementsAre("a", "1", "2"));
  EXPECT_THAT(split("null", "a b"), ElementsAre("a b"));
}

}  // namespace
}  // namespace tessera
