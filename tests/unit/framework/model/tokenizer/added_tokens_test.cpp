// SPDX-License-Identifier: Apache-2.0

#include "framework/model/tokenizer/added_tokens.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tessera {
namespace {

using nlohmann::json;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

json token(const char* content, const json& flags = json::object()) {
  json entry = {{"content", content}, {"special", true}, {"normalized", false}};
  entry.update(flags);
  return entry;
}

// Numbers the tokens from 0 and reads them.
AddedTokens read(std::vector<json> tokens, const json& normalizer = nullptr) {
  for (size_t i = 0; i < tokens.size(); ++i) tokens[i]["id"] = i;
  const auto steps = Normalizer::from_json(normalizer, "normalizer");
  EXPECT_TRUE(steps.ok());
  auto added = AddedTokens::from_json(tokens, "added_tokens", *steps, Bpe());
  EXPECT_TRUE(added.ok()) << added.status().message();
  return added.ok() ? std::move(*added) : AddedTokens();
}

// "text|<token>|text".
std::string cut(const AddedTokens& added, std::string_view text,
                bool normalized = false) {
  std::string result;
  for (const TokenSpan& span : added.split(text, normalized)) {
    if (!result.empty()) result += '|';
    const auto part = text.substr(span.begin, span.end - span.begin);
    result += span.token == nullptr ? std::string(part)
                                    : "<" + std::string(part) + ">";
  }
  return result;
}

TEST(AddedTokens, TakesTheLongestOfTheLeftmost) {
  const AddedTokens added = read({token("ab"), token("abc"), token("bcde")});
  EXPECT_EQ(cut(added, "xabcdex"), "x|<abc>|dex");
  EXPECT_EQ(cut(added, "abab"), "<ab>|<ab>");
  EXPECT_EQ(cut(added, "abbcde"), "<ab>|<bcde>");
  EXPECT_EQ(cut(added, "ba"), "ba");
  EXPECT_EQ(cut(added, ""), "");
}

TEST(AddedTokens, StripsSpacesOnTheSideItSays) {
  const AddedTokens added = read({token("L", {{"lstrip", true}}),
                                  token("R", {{"rstrip", true}}), token("N")});
  EXPECT_EQ(cut(added, "a  L  b"), "a|<  L>|  b");
  EXPECT_EQ(cut(added, "a  R\n b"), "a  |<R\n >|b");
  EXPECT_EQ(cut(added, "a N b"), "a |<N>| b");
  EXPECT_EQ(cut(added, "R  L"), "<R  >|<L>");
  EXPECT_EQ(cut(added, "a\xe2\x80\x83L"), "a|<\xe2\x80\x83L>");
}

TEST(AddedTokens, FindsSingleWordsOnly) {
  const AddedTokens added = read({token("cat", {{"single_word", true}})});
  EXPECT_EQ(cut(added, "cat cats concat cat."), "<cat>| cats concat |<cat>|.");
  EXPECT_EQ(cut(added,
                "\xc3\xa9"
                "cat\xff"),
            "\xc3\xa9"
            "cat\xff");
  EXPECT_EQ(cut(added,
                "\xff"
                "cat\xff"),
            "\xff|<cat>|\xff");
}

TEST(AddedTokens, SeeksNormalizedTokensInNormalizedText) {
  const json mark = {
      {"type", "Replace"}, {"pattern", {{"String", " "}}}, {"content", "_"}};
  const AddedTokens added =
      read({token("a b", {{"normalized", true}}), token("c d")}, mark);
  EXPECT_EQ(cut(added, "a b c d", false), "a b |<c d>");
  EXPECT_EQ(cut(added, "a_b a b", true), "<a_b>| a b");
}

TEST(AddedTokens, KnowsItsTokens) {
  const AddedTokens added = read({token("a"), token("b")});
  ASSERT_NE(added.find(1), nullptr);
  EXPECT_EQ(added.find(1)->content, "b");
  EXPECT_EQ(added.find("a")->id, 0);
  EXPECT_EQ(added.find(2), nullptr);
  EXPECT_EQ(added.find("c"), nullptr);
  EXPECT_EQ(added.id_bound(), 2);
}

}  // namespace
}  // namespace tessera
