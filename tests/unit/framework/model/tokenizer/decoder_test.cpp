// SPDX-License-Identifier: Apache-2.0

#include "framework/model/tokenizer/decoder.hpp"

#include <gtest/gtest.h>

namespace tessera {
namespace {

using Tokens = std::vector<std::string>;

std::string decode(const std::string& json, const Tokens& tokens) {
  const auto decoder =
      Decoder::from_json(nlohmann::json::parse(json), "decoder");
  EXPECT_TRUE(decoder.ok()) << decoder.status().message();
  if (!decoder.ok()) return {};
  DecodeChain chain(*decoder);
  std::string text;
  for (const std::string& token : tokens) chain.push(token, text);
  chain.finish(text);
  // A chain is as new after finish().
  std::string again;
  for (const std::string& token : tokens) chain.push(token, again);
  chain.finish(again);
  EXPECT_EQ(again, text);
  return text;
}

std::string sequence(const std::string& steps) {
  return R"({"type":"Sequence","decoders":[)" + steps + "]}";
}

constexpr const char* kFuse = R"({"type":"Fuse"})";
constexpr const char* kBytes = R"({"type":"ByteFallback"})";

TEST(Decoder, JoinsWithSpacesWhereThereIsNone) {
  EXPECT_EQ(decode("null", {"a", "b", "c"}), "a b c");
  EXPECT_EQ(decode("null", {}), "");
}

TEST(Decoder, ByteLevelSpellsBytesOrTheTokenItself) {
  const char* json = R"({"type":"ByteLevel"})";
  EXPECT_EQ(decode(json, {"\xc4\xa0"
                          "a",
                          "\xc3\x83", "\xc2\xa9"}),
            " a\xc3\xa9");
  EXPECT_EQ(decode(json, {"\xe4\xb8\x96\xc4\xa0"}), "\xe4\xb8\x96\xc4\xa0");
}

TEST(Decoder, ByteFallbackReadsByteTokens) {
  const std::string json = sequence(std::string(kBytes) + "," + kFuse);
  EXPECT_EQ(decode(json, {"a", "<0xE4>", "<0xb8>", "<0x96>", "b"}),
            "a\xe4\xb8\x96"
            "b");
  EXPECT_EQ(decode(json, {"<0xFF>"}), "\xff");
  EXPECT_EQ(decode(json, {"<0xG0>", "<0x000>", "<0x0>", "<1x00>"}),
            "<0xG0><0x000><0x0><1x00>");
}

TEST(Decoder, StripWorksOnTheFusedText) {
  const auto strip = [](int start, int stop) {
    return R"({"type":"Strip","content":" ","start":)" + std::to_string(start) +
           R"(,"stop":)" + std::to_string(stop) + "}";
  };
  const std::string fused = std::string(kFuse) + ",";
  EXPECT_EQ(decode(sequence(fused + strip(1, 0)), {" ", " a", " b"}), " a b");
  EXPECT_EQ(decode(sequence(fused + strip(2, 0)), {" ", " a", " b"}), "a b");
  EXPECT_EQ(decode(sequence(fused + strip(3, 0)), {" ", " "}), "");
  EXPECT_EQ(decode(sequence(fused + strip(1, 0)), {"a", " b"}), "a b");
  EXPECT_EQ(decode(sequence(fused + strip(0, 2)), {" a ", "b ", "  "}),
            " a b ");
  EXPECT_EQ(decode(sequence(strip(1, 0)), {" a", "  b"}), "a b");
  EXPECT_EQ(decode(sequence(fused + strip(9, 9)), {" ", ""}), "");
}

TEST(Decoder, StripTakesCharactersThatComeInBytes) {
  const std::string json =
      sequence(std::string(kBytes) + "," + kFuse +
               R"(,{"type":"Strip","content":"\u00e9","start":1,"stop":0})");
  EXPECT_EQ(decode(json, {"<0xC3>", "<0xA9>", "\xc3\xa9"}), "\xc3\xa9");
  EXPECT_EQ(decode(json, {"<0xC3>", "<0xA8>"}), "\xc3\xa8");
  EXPECT_EQ(decode(json, {"<0xC3>"}), "\xc3");
}

TEST(Decoder, ReplaceTakesStringsAndPatterns) {
  EXPECT_EQ(decode(R"({"type":"Replace","pattern":{"String":"_"},
                       "content":" "})",
                   {"_a", "b__"}),
            " ab  ");
  EXPECT_EQ(decode(R"({"type":"Replace","pattern":{"Regex":"[0-9]+"},
                       "content":"#"})",
                   {"a12", "3"}),
            "a##");
}

TEST(Decoder, MetaspaceDropsTheMarksOfTheFirstToken) {
  const char* always = R"({"type":"Metaspace","replacement":"_"})";
  const char* never = R"({"type":"Metaspace","replacement":"_",
                          "prepend_scheme":"never"})";
  EXPECT_EQ(decode(always, {"_a", "_b"}), "a b");
  EXPECT_EQ(decode(never, {"_a", "_b"}), " a b");
}

// What is settled comes out at once, so that text can be shown as it grows.
TEST(Decoder, HoldsBackNoMoreThanItMust) {
  const auto decoder = Decoder::from_json(
      nlohmann::json::parse(
          sequence(std::string(kBytes) + "," + kFuse +
                   R"(,{"type":"Strip","content":" ","start":1,"stop":0})")),
      "decoder");
  ASSERT_TRUE(decoder.ok());
  DecodeChain chain(*decoder);
  std::string text;
  chain.push(" ", text);
  EXPECT_EQ(text, "");
  chain.push("a", text);
  EXPECT_EQ(text, "a");
  chain.push("<0x62>", text);
  EXPECT_EQ(text, "ab");
}

}  // namespace
}  // namespace tessera
