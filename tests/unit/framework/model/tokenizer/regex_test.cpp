// SPDX-License-Identifier: Apache-2.0

#include "framework/model/tokenizer/regex.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "framework/model/tokenizer/regex_syntax.hpp"

namespace tessera {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::vector<std::string> matches(const char* pattern, std::string_view text) {
  const Result<Regex> regex = Regex::compile(pattern);
  EXPECT_TRUE(regex.ok()) << regex.status().message();
  std::vector<TextRange> ranges;
  if (regex.ok()) {
    const Status status = regex->find_all(text, ranges);
    EXPECT_TRUE(status.ok()) << status.message();
  }
  std::vector<std::string> found;
  for (const TextRange& range : ranges) {
    found.emplace_back(text.substr(range.begin, range.end - range.begin));
  }
  return found;
}

TEST(Regex, FindsMatchesFromLeftToRight) {
  EXPECT_THAT(matches("a+", "aab a"), ElementsAre("aa", "a"));
  EXPECT_THAT(matches("a+", "xyz"), IsEmpty());
  EXPECT_THAT(matches("a+", ""), IsEmpty());
}

TEST(Regex, GivesEmptyMatchesThatTouchNoOther) {
  EXPECT_THAT(matches("a*", "aab"), ElementsAre("aa", ""));
  EXPECT_THAT(matches("", "\xe4\xb8\x96"), ElementsAre("", ""));
}

TEST(Regex, SeesThroughLookaroundAcrossTheStart) {
  EXPECT_THAT(matches("\\s+(?!\\S)|\\s+", "a   b"), ElementsAre("  ", " "));
  EXPECT_THAT(matches("(?<=a)b", "ab b"), ElementsAre("b"));
}

// Each line: what Oniguruma's word means where PCRE2's means something else.
TEST(Regex, ReadsWordsAsOnigurumaDoes) {
  EXPECT_THAT(matches("\\s", "\xe1\xa0\x8e\xe2\x80\x83"),  // U+180E, U+2003
              ElementsAre("\xe2\x80\x83"));
  EXPECT_THAT(matches("\\S", "\xe1\xa0\x8e "), ElementsAre("\xe1\xa0\x8e"));
  EXPECT_THAT(matches("[^\\s]", "\xe1\xa0\x8e "), ElementsAre("\xe1\xa0\x8e"));
  EXPECT_THAT(matches("[\\Sx]+", "ab \xc2\xa0x"), ElementsAre("ab", "x"));
  EXPECT_THAT(matches("\\w+", "e\xcc\x81_-"), ElementsAre("e\xcc\x81_"));
  EXPECT_THAT(matches("\\W", "a-\xcc\x81"), ElementsAre("-"));
  EXPECT_THAT(matches("\\h+", "xfF0 g"), ElementsAre("fF0"));
  EXPECT_THAT(matches("\\v", "\x0b\n"), ElementsAre("\x0b"));
  EXPECT_THAT(matches("\\u00e9", "\xc3\xa9"), ElementsAre("\xc3\xa9"));
  EXPECT_THAT(matches("^b$", "a\nb\n"), ElementsAre("b"));
  EXPECT_THAT(matches("[[:digit:]]+", "a12"), ElementsAre("12"));
  EXPECT_THAT(matches("[]a]+", "]a["), ElementsAre("]a"));
  EXPECT_THAT(matches("\\p{L}+", "ab1"), ElementsAre("ab"));
  EXPECT_THAT(matches("(?i:'s)", "x'S'\xc5\xbf"),
              ElementsAre("'S", "'\xc5\xbf"));
}

TEST(Regex, RefusesWhatPcre2WouldReadOtherwise) {
  for (const char* pattern : {"[a[b]]", "[a&&b]", "a{1,2}+", "(?m:.)", "(?im).",
                              "[\\W]", "\\u12", "\\Qa\\E"}) {
    const auto regex = Regex::compile(pattern);
    ASSERT_FALSE(regex.ok()) << pattern;
    EXPECT_EQ(regex.status().code(), TSR_UNIMPLEMENTED) << pattern;
    EXPECT_THAT(regex.status().message(), HasSubstr(pattern));
  }
}

TEST(Regex, NamesAWrongPattern) {
  for (const char* pattern : {"(a", "a\\", "[a", "*", "\\p{Nonsense}"}) {
    const auto regex = Regex::compile(pattern);
    ASSERT_FALSE(regex.ok()) << pattern;
    EXPECT_EQ(regex.status().code(), TSR_INVALID_ARGUMENT) << pattern;
    EXPECT_THAT(regex.status().message(), HasSubstr(pattern));
  }
}

TEST(Regex, EndsAHostilePatternWithAnError) {
  const auto regex = Regex::compile("(x+x+)+y");
  ASSERT_TRUE(regex.ok());
  std::vector<TextRange> ranges;
  const Status status = regex->find_all(std::string(60, 'x') + "zy", ranges);
  EXPECT_EQ(status.code(), TSR_RESOURCE_EXHAUSTED) << status.message();
}

TEST(Regex, NeedsNoStackForLongMatches) {
  EXPECT_EQ(matches("(?:a|b)+", std::string(100'000, 'a')).size(), 1U);
}

}  // namespace
}  // namespace tessera
