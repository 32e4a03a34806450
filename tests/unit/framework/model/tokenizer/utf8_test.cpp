// SPDX-License-Identifier: Apache-2.0

#include "framework/model/tokenizer/utf8.hpp"

#include <gtest/gtest.h>

namespace tessera {
namespace {

TEST(Utf8, RoundTripsEveryCodePoint) {
  for (char32_t code = 0; code <= 0x10ffff; ++code) {
    if (code >= 0xd800 && code <= 0xdfff) continue;
    std::string text;
    append_utf8(code, text);
    const Utf8Char c = first_char(text + "x");
    ASSERT_TRUE(c.is_valid) << std::hex << uint32_t{code};
    ASSERT_EQ(c.code, code);
    ASSERT_EQ(c.bytes, text.size());
    ASSERT_EQ(last_char("x" + text).code, code);
    for (size_t cut = 1; cut < text.size(); ++cut) {
      ASSERT_FALSE(first_char(text.substr(0, cut)).is_valid);
      ASSERT_EQ(incomplete_tail("x" + text.substr(0, cut)), cut);
    }
    ASSERT_EQ(incomplete_tail(text), 0U);
  }
}

TEST(Utf8, RefusesWhatIsNoCharacter) {
  for (const char* text : {
           "\x80",
           "\xbf",  // lone continuation bytes
           "\xc0\x80",
           "\xc1\xbf",  // overlong forms
           "\xe0\x9f\xbf",
           "\xf0\x8f\xbf\xbf",
           "\xed\xa0\x80",
           "\xed\xbf\xbf",  // surrogates
           "\xf4\x90\x80\x80",
           "\xf5\x80\x80\x80",  // beyond U+10FFFF
           "\xff",
           "\xc3(",
           "\xe2\x82(",
           "\xf0\x9f\x98(",
       }) {
    const Utf8Char c = first_char(text);
    EXPECT_FALSE(c.is_valid) << text;
    EXPECT_EQ(c.bytes, 1U);
  }
  EXPECT_EQ(incomplete_tail("\xed\xa0"), 0U);
  EXPECT_EQ(incomplete_tail("\xff"), 0U);
}

TEST(Utf8, CutsTextIntoRuns) {
  const std::string text = "a\xc3\xa9\xff\xfe z\xe2\x82";
  const std::vector<Utf8Run> runs = utf8_runs(text);
  ASSERT_EQ(runs.size(), 4U);
  EXPECT_TRUE(runs[0].is_valid);
  EXPECT_EQ(runs[0].end, 3U);
  EXPECT_FALSE(runs[1].is_valid);
  EXPECT_EQ(runs[1].end, 5U);
  EXPECT_EQ(runs[2].end, 7U);
  EXPECT_FALSE(runs[3].is_valid);
  EXPECT_EQ(runs[3].end, text.size());
  EXPECT_TRUE(utf8_runs("").empty());
}

TEST(Utf8, KnowsSpacesAndWords) {
  for (const char32_t code : {U' ', U'\t', U'\r', U'\u0085', U'\u00a0',
                              U'\u2003', U'\u2028', U'\u3000'}) {
    EXPECT_TRUE(is_space(code)) << uint32_t{code};
    EXPECT_FALSE(is_word(code)) << uint32_t{code};
  }
  EXPECT_FALSE(is_space(U'\u180e'));
  EXPECT_FALSE(is_space(U'\u200b'));
  for (const char32_t code : {U'a', U'_', U'9', U'\u00e9', U'\u0301', U'\u4e16',
                              U'\u2160', U'\u24b6', U'\u200d'}) {
    EXPECT_TRUE(is_word(code)) << uint32_t{code};
  }
  for (const char32_t code : {U'-', U'\u00b2', U'\u20ac', U'\U0001f600'}) {
    EXPECT_FALSE(is_word(code)) << uint32_t{code};
  }
}

}  // namespace
}  // namespace tessera
