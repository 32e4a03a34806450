// SPDX-License-Identifier: Apache-2.0
//
// Hostile YAML costs little and ends in one clear error.

#include "framework/quant/recipe/yaml_tree.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>
#include <string>

#include "framework/quant/recipe/recipe_file.hpp"
#include "framework/quant/recipe/yaml_fields.hpp"

namespace tessera::quant {
namespace {

using testing::HasSubstr;

std::string repeated(const std::string& text, size_t bytes) {
  std::string all;
  while (all.size() + text.size() <= bytes) all += text;
  return all;
}

TEST(YamlTree, KeepsOrderLinesAndQuotes) {
  const auto root = parse_yaml("b: 'x'\na:\n- 1\n-\n");
  ASSERT_TRUE(root.ok()) << root.status().message();
  ASSERT_EQ(root->items.size(), 2U);
  EXPECT_EQ(root->items[0].key, "b");
  EXPECT_TRUE(root->items[0].quoted);
  const YamlNode& list = root->items[1];
  EXPECT_EQ(list.key, "a");
  EXPECT_EQ(list.line, 2U);
  ASSERT_EQ(list.items.size(), 2U);
  EXPECT_EQ(list.items[0].line, 3U);
  EXPECT_FALSE(list.items[0].quoted);
  EXPECT_EQ(list.items[1].kind, YamlNode::Kind::kNull);
}

TEST(YamlTree, CopiesWhatAnAliasStandsFor) {
  const auto root = parse_yaml("a: &x {b: [1]}\nc: *x\n");
  ASSERT_TRUE(root.ok()) << root.status().message();
  const YamlNode& copy = root->items[1];
  EXPECT_EQ(copy.key, "c");
  EXPECT_EQ(copy.line, 2U);
  EXPECT_EQ(copy.items[0].items[0].text, "1");
}

TEST(YamlTree, AllowsJustTheDepthAndNoMore) {
  const auto nested = [](uint32_t levels) {
    return std::string(levels, '[') + std::string(levels, ']');
  };
  EXPECT_TRUE(parse_yaml(nested(kMaxYamlDepth)).ok());
  const auto deep = parse_yaml(nested(kMaxYamlDepth + 1));
  ASSERT_FALSE(deep.ok());
  EXPECT_EQ(deep.status().message(), "line 1: more than 32 levels");
}

TEST(YamlTree, AllowsJustTheNodesAndNoMore) {
  // The list itself is one.
  EXPECT_TRUE(parse_yaml(repeated("- a\n", 4 * (kMaxYamlNodes - 1))).ok());
  const auto many = parse_yaml(repeated("- a\n", 4 * kMaxYamlNodes));
  ASSERT_FALSE(many.ok());
  EXPECT_EQ(many.status().message(), "line 20000: more than 20000 values");
}

TEST(YamlTree, RefusesAliasesThatMultiply) {
  std::string bomb = "a0: &a0 [x, x]\n";
  for (int i = 1; i < 40; ++i) {
    const std::string last = "*a" + std::to_string(i - 1);
    bomb += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [" + last +
            ", " + last + "]\n";
  }
  const auto root = parse_yaml(bomb);
  ASSERT_FALSE(root.ok());
  EXPECT_THAT(root.status().message(), HasSubstr("more than 20000 values"));
}

TEST(YamlTree, RefusesAnAliasOfWhatItLiesIn) {
  const auto root = parse_yaml("a: &x [*x]");
  ASSERT_FALSE(root.ok());
  EXPECT_EQ(root.status().message(), "line 1: alias of what it lies in");
  EXPECT_FALSE(parse_yaml("a: *missing").ok());
}

// Each fills what a file may hold.
TEST(YamlTree, AnswersHostileTexts) {
  for (const char* part :
       {"[",    "{",     "- ",    "? ",    "a: ",  "[a: ", "{a: ",
        "&a ",  "*a ",   "!!a ",  "\"",    "'",    "|",    ">\n",
        "%a\n", "---\n", "...\n", "\t",    "\n",   ",",    "]",
        "}",    "#",     "a",     "a:\n ", "-\n",  "{? ",  "\xEF\xBB\xBF",
        "\xFF", "\\",    "a\n",   "<<: ",  "- - ", "[]",   "{}",
        "[],",  ": "}) {
    const auto file = parse_recipe(repeated(part, kMaxYamlBytes), "r.yaml");
    EXPECT_FALSE(file.ok()) << part;
    EXPECT_FALSE(file.status().message().empty());
    EXPECT_LT(file.status().message().size(), 1000U) << part;
  }
  EXPECT_FALSE(parse_yaml(std::string("a: \0b\0: [", 9)).ok());
}

TEST(YamlTree, AnswersMutatedRecipes) {
  const std::string seeds[] = {
      "scheme: w8a8\nlayers: {\"*.mlp\": w8a16, a: float}\n"
      "outliers: {method: m6, alpha: 0.5, beta: 0.5}\n"
      "weights:\n  method: gptq\n  damping: 0.01\n",
      "apiversion: v1\nq: &q {weight: {dtype: int8}}\nspec:\n  process:\n"
      "  - {type: linear_quant, qconfig: *q, include: [\"{a,b}\"]}\n"};
  const std::string bytes = "[]{}:,-&*!|>'\"#%@`?\n\t \\aL0.9\xC3\xFF";
  std::mt19937 rng(42);
  for (int round = 0; round < 4000; ++round) {
    std::string text = seeds[round % 2];
    const uint64_t num_edits = 1 + rng() % 6;
    for (uint64_t i = 0; i < num_edits && !text.empty(); ++i) {
      const size_t at = rng() % text.size();
      switch (rng() % 3) {
        case 0:
          text[at] = bytes[rng() % bytes.size()];
          break;
        case 1:
          text.insert(at, 1, bytes[rng() % bytes.size()]);
          break;
        default:
          text.erase(at, 1 + rng() % 8);
      }
    }
    const auto file = parse_recipe(text, "r.yaml");
    if (!file.ok()) {
      EXPECT_THAT(file.status().message(), testing::StartsWith("r.yaml: "));
    }
  }
}

TEST(YamlFields, FindTheNearestName) {
  EXPECT_EQ(nearest_name("dampning", {"method", "damping"}), "damping");
  EXPECT_EQ(nearest_name("", {"abc", "a"}), "a");
  EXPECT_EQ(nearest_name("x", {"a", "b"}), "a");
  EXPECT_EQ(nearest_name("x", {}), "");
}

}  // namespace
}  // namespace tessera::quant
