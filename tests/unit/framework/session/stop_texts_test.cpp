// SPDX-License-Identifier: Apache-2.0
//
// However an answer is cut into pieces, the same text comes out: all before the
// first stop text.

#include "framework/session/stop_texts.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <string>
#include <vector>

namespace tessera::session {
namespace {

struct Outcome {
  std::string text;
  bool has_stopped = false;
};

// Pieces of `sizes` bytes in turn.
Outcome run(const std::string& answer, const std::vector<std::string>& texts,
            const std::vector<size_t>& sizes) {
  StopTexts stops(texts);
  Outcome outcome;
  size_t at = 0;
  for (size_t i = 0; at < answer.size() && !stops.has_stopped(); ++i) {
    const std::string piece = answer.substr(at, sizes[i % sizes.size()]);
    at += piece.size();
    outcome.text += stops.push(piece);
  }
  outcome.text += stops.flush();
  outcome.has_stopped = stops.has_stopped();
  return outcome;
}

TEST(StopTexts, EndBeforeTheFirstWhateverThePieces) {
  std::mt19937 rng(42);
  const std::vector<std::string> texts = {"aab", "ba", "abab"};
  for (int trial = 0; trial < 2000; ++trial) {
    std::string answer;
    for (size_t i = 0; i < 12; ++i) answer += "abc"[rng() % 3];
    size_t end = answer.size();
    for (const std::string& text : texts) {
      end = std::min(end, answer.find(text));
    }
    const std::vector<size_t> sizes = {1 + rng() % 3, 1 + rng() % 3};
    const Outcome found = run(answer, texts, sizes);
    // A later stop text may be whole before an earlier one is, but what comes
    // out never holds one, and nothing before the first is lost.
    EXPECT_EQ(found.text, answer.substr(0, found.text.size()));
    EXPECT_GE(found.text.size(), std::min(end, answer.size()));
    for (const std::string& text : texts) {
      EXPECT_EQ(found.text.find(text), std::string::npos) << answer;
    }
    EXPECT_EQ(found.has_stopped, end < answer.size()) << answer;
  }
}

TEST(StopTexts, GiveOnWhatCannotBelongToOne) {
  StopTexts stops({"END"});
  EXPECT_EQ(stops.push("abE"), "ab");
  EXPECT_EQ(stops.push("N"), "");
  EXPECT_EQ(stops.push("E"), "EN");
  EXPECT_EQ(stops.push("ND more"), "");
  EXPECT_TRUE(stops.has_stopped());
  EXPECT_EQ(stops.push("x"), "");
  EXPECT_EQ(stops.flush(), "");
}

TEST(StopTexts, WithoutOneEverythingPasses) {
  StopTexts stops({""});
  EXPECT_EQ(stops.push("abc"), "abc");
  EXPECT_EQ(stops.flush(), "");
  EXPECT_FALSE(stops.has_stopped());
}

}  // namespace
}  // namespace tessera::session
