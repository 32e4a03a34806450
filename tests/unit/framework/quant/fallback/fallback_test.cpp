// SPDX-License-Identifier: Apache-2.0
//
// Patterns, precedence of rules, and the search for a small fallback set.

#include "framework/quant/fallback/fallback.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <set>
#include <string>
#include <vector>

#include "framework/quant/fallback/fallback_search.hpp"
#include "framework/quant/fallback/glob.hpp"

namespace tessera::quant {
namespace {

struct GlobCase {
  const char* pattern;
  const char* name;
  bool matches;
};

// Answers of fnmatch.fnmatchcase, Python 3.11.
constexpr GlobCase kGlobs[] = {
    {"*.mlp.down_proj", "model.layers.0.mlp.down_proj", true},
    {"*.mlp.down_proj", "model.layers.0.mlp.down_proj.weight", false},
    {"*down_proj*", "model.layers.0.mlp.down_proj.weight", true},
    {"model.layers.16.mlp.gate_proj", "model.layers.16.mlp.gate_proj", true},
    {"model.layers.1?.mlp.*", "model.layers.16.mlp.up_proj", true},
    {"model.layers.1?.mlp.*", "model.layers.1.mlp.up_proj", false},
    {"model.layers.[0-3].*", "model.layers.2.x", true},
    {"model.layers.[0-3].*", "model.layers.4.x", false},
    {"model.layers.[!0-3].*", "model.layers.4.x", true},
    {"model.layers.[!0-3].*", "model.layers.2.x", false},
    {"[]]", "]", true},
    {"[!]]", "]", false},
    {"[a", "[a", true},
    {"[a-]", "-", true},
    {"[z-a]", "m", false},
    {"LM_HEAD", "lm_head", false},
    {"", "", true},
    {"", "a", false},
    {"*", "", true},
    {"**a**", "bab", true},
    {"a*b*c", "aXbXbXc", true},
    {"a*b*c", "aXcXb", false},
    {"?", "", false},
    {"[^a]", "a", true},
    {"a[.]b", "a.b", true},
    {"a.b", "axb", false},
};

TEST(Glob, MatchesAsFnmatchDoes) {
  for (const GlobCase& c : kGlobs) {
    EXPECT_EQ(matches_glob(c.pattern, c.name), c.matches)
        << c.pattern << " against " << c.name;
  }
}

TEST(Glob, StarsDoNotTakeExponentialTime) {
  const std::string name(2000, 'a');
  std::string pattern;
  for (int i = 0; i < 50; ++i) pattern += "*a";
  EXPECT_FALSE(matches_glob(pattern + "b", name));
}

std::vector<LayerSensitivity> five_layers() {
  return {{"0.q", 1.0},
          {"0.down", 9.0},
          {"1.q", 2.0},
          {"1.down", 8.0},
          {"1.o", 5.0}};
}

const LayerChoice& choice_of(const SchemeChoices& choices,
                             const std::string& name) {
  return *std::find_if(choices.layers.begin(), choices.layers.end(),
                       [&](const LayerChoice& c) { return c.name == name; });
}

TEST(Fallback, RollbackBeatsExplicitBeatsWildcardBeatsDefault) {
  SchemeRules rules;
  rules.default_scheme = "w8a8";
  rules.fallback_scheme = "bf16";
  rules.schemes = {{"1.*", "w8a16"},
                   {"*.q", "w4a8"},
                   {"1.q", "w8a8_dynamic"},
                   {"0.down", "w4a16"}};
  rules.disable_names = {"0.down"};
  rules.disable_level = 1;
  const auto choices = choose_schemes(rules, five_layers());
  ASSERT_TRUE(choices.ok());
  EXPECT_EQ(choice_of(*choices, "0.down").scheme, "bf16");
  EXPECT_EQ(choice_of(*choices, "0.down").reason, SchemeReason::kDisableName);
  // The level counts layers that no name has taken.
  EXPECT_EQ(choice_of(*choices, "1.down").reason, SchemeReason::kDisableLevel);
  EXPECT_EQ(choice_of(*choices, "1.q").scheme, "w8a8_dynamic");
  EXPECT_EQ(choice_of(*choices, "1.q").reason, SchemeReason::kExplicit);
  EXPECT_EQ(choice_of(*choices, "1.o").scheme, "w8a16");
  EXPECT_EQ(choice_of(*choices, "1.o").rule, "1.*");
  EXPECT_EQ(choice_of(*choices, "0.q").scheme, "w4a8");
  EXPECT_EQ(choice_of(*choices, "1.down").rank, 1U);
  EXPECT_EQ(choices->num_fallbacks, 2U);
  EXPECT_THAT(
      choices->warnings,
      testing::ElementsAre("2 of 5 layers fall back to bf16, more than 20 %"));
}

TEST(Fallback, TwentyPercentAreNoWarning) {
  SchemeRules rules;
  rules.disable_level = 1;
  const auto choices = choose_schemes(rules, five_layers());
  ASSERT_TRUE(choices.ok());
  EXPECT_TRUE(choices->warnings.empty());
}

TEST(Fallback, ALevelAboveTheCountTakesAllLayers) {
  SchemeRules rules;
  rules.disable_level = 12;
  EXPECT_EQ(choose_schemes(rules, five_layers())->num_fallbacks, 5U);
}

TEST(Fallback, FallbackSetsGrowWithTheLevel) {
  std::set<std::string> last;
  for (uint32_t level = 0; level <= 5; ++level) {
    SchemeRules rules;
    rules.disable_level = level;
    std::set<std::string> names;
    const auto choices = choose_schemes(rules, five_layers());
    ASSERT_TRUE(choices.ok());
    for (const LayerChoice& c : choices->layers) {
      if (c.reason == SchemeReason::kDisableLevel) names.insert(c.name);
    }
    EXPECT_EQ(names.size(), level);
    EXPECT_TRUE(
        std::includes(names.begin(), names.end(), last.begin(), last.end()));
    last = names;
  }
}

TEST(Fallback, SaysWhichPatternsMatchNothing) {
  SchemeRules rules;
  rules.disable_names = {"*.up"};
  rules.schemes = {{"2.q", "w4a16"}};
  EXPECT_THAT(choose_schemes(rules, five_layers())->warnings,
              testing::ElementsAre("disable_names: no layer matches \"*.up\"",
                                   "schemes: no layer matches \"2.q\""));
}

TEST(Fallback, RefusesNanAndNamesThatComeTwice) {
  EXPECT_EQ(choose_schemes({}, {{"a", 1.0}, {"a", 2.0}}).status().message(),
            "layer a is named twice");
  const double nan = std::numeric_limits<double>::quiet_NaN();
  EXPECT_EQ(choose_schemes({}, {{"a", nan}}).status().message(),
            "layer a: the metric is NaN");
}

TEST(Fallback, ReadsLevels) {
  EXPECT_EQ(*parse_disable_level("L0"), 0U);
  EXPECT_EQ(*parse_disable_level("L12"), 12U);
  for (const char* bad : {"", "L", "12", "l5", "L-1", "L5 ", "L99999999999"}) {
    EXPECT_FALSE(parse_disable_level(bad).ok()) << bad;
  }
}

// A model whose score falls by what each layer in fallback is worth.
struct AdditiveModel {
  std::vector<std::pair<std::string, double>> worth;
  double base = 0.0;
  int calls = 0;

  ScoreFallback score() {
    return [this](const std::vector<std::string>& names) -> Result<double> {
      ++calls;
      double value = base;
      for (const auto& [name, gain] : worth) {
        if (std::count(names.begin(), names.end(), name) > 0) value -= gain;
      }
      return value;
    };
  }
};

std::vector<std::string> letters(size_t count) {
  std::vector<std::string> names;
  for (size_t i = 0; i < count; ++i)
    names.push_back(std::string(1, static_cast<char>('a' + i)));
  return names;
}

TEST(FallbackSearch, NeedsNothingWhenTheScoreIsMet) {
  AdditiveModel model{{}, 0.5};
  const auto set = search_fallback({1.0, 8}, letters(5), model.score());
  ASSERT_TRUE(set.ok());
  EXPECT_TRUE(set->met);
  EXPECT_TRUE(set->names.empty());
  EXPECT_EQ(model.calls, 1);
}

TEST(FallbackSearch, FindsTheTwoLayersThatMatterAmongTwenty) {
  // The metric ranks b and f among the first but not first.
  AdditiveModel model{{{"b", 5.0}, {"f", 4.0}}, 10.0};
  const auto set = search_fallback({1.0, 32}, letters(20), model.score());
  ASSERT_TRUE(set.ok());
  EXPECT_TRUE(set->met);
  EXPECT_FALSE(set->out_of_budget);
  EXPECT_EQ(set->names, (std::vector<std::string>{"b", "f"}));
  EXPECT_EQ(set->score, 1.0);
  EXPECT_EQ(set->steps.size(), static_cast<size_t>(model.calls));
}

TEST(FallbackSearch, StopsAtTheBudgetWithTheBestSetSoFar) {
  AdditiveModel model{{{"b", 5.0}, {"f", 4.0}}, 10.0};
  const auto set = search_fallback({1.0, 5}, letters(20), model.score());
  ASSERT_TRUE(set.ok());
  EXPECT_EQ(model.calls, 5);
  EXPECT_TRUE(set->out_of_budget);
  EXPECT_TRUE(set->met);
  EXPECT_EQ(set->names, letters(8));
}

TEST(FallbackSearch, ReportsTheBestSetWhenNothingIsEnough) {
  AdditiveModel model{{{"c", 5.0}}, 10.0};
  const auto set = search_fallback({1.0, 32}, letters(6), model.score());
  ASSERT_TRUE(set.ok());
  EXPECT_FALSE(set->met);
  EXPECT_EQ(set->score, 5.0);
  EXPECT_EQ(set->names.size(), 4U);
}

TEST(FallbackSearch, HandsOnFailures) {
  const auto set = search_fallback(
      {1.0, 8}, letters(2), [](const std::vector<std::string>&) {
        return Result<double>(Status(TSR_CANCELLED, "interrupted"));
      });
  EXPECT_EQ(set.status().code(), TSR_CANCELLED);
  const double nan = std::numeric_limits<double>::quiet_NaN();
  AdditiveModel model{{}, nan};
  EXPECT_EQ(search_fallback({1.0, 8}, {}, model.score()).status().message(),
            "fallback search: the score with 0 layers is NaN");
  EXPECT_FALSE(search_fallback({nan, 8}, {}, model.score()).ok());
  EXPECT_FALSE(search_fallback({1.0, 0}, {}, model.score()).ok());
}

}  // namespace
}  // namespace tessera::quant
