// SPDX-License-Identifier: Apache-2.0

#include "framework/model/json_document.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "framework/model/json_object.hpp"

namespace tessera {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

std::string nested(size_t depth) {
  return std::string(depth, '[') + std::string(depth, ']');
}

TEST(JsonDocument, KeepsEveryKindOfValue) {
  const char* text = R"({"a":[1,-2,0.5,true,null,"x"],"b":{"c":{}}})";
  const auto document = parse_json(text, "f.json");
  ASSERT_TRUE(document.ok()) << document.status().message();
  EXPECT_EQ(*document, nlohmann::json::parse(text));
}

TEST(JsonDocument, RefusesWhatIsNotJson) {
  for (const char* text : {"", "{", "{\"a\":1,}", "[1]x", "nan", "\"\xff\"",
                           "{\"a\":1e999}", "[\"\\ud800\"]", "\x01"}) {
    const auto document = parse_json(text, "f.json");
    ASSERT_FALSE(document.ok()) << text;
    EXPECT_EQ(document.status().code(), TSR_INVALID_ARGUMENT);
    EXPECT_THAT(document.status().message(), HasSubstr("f.json: not JSON: "));
    EXPECT_THAT(document.status().message(), Not(HasSubstr("\n")));
  }
}

TEST(JsonDocument, RefusesAKeyThatStandsTwice) {
  const auto document = parse_json(R"({"a":{"x":1,"y":2,"x":3}})", "f.json");
  ASSERT_FALSE(document.ok());
  EXPECT_THAT(document.status().message(), HasSubstr("key \"x\" stands twice"));
}

TEST(JsonDocument, BoundsTheDepth) {
  EXPECT_TRUE(parse_json(nested(64), "f.json").ok());
  EXPECT_FALSE(parse_json(nested(65), "f.json").ok());
  // Deep enough to overflow a recursive reader's stack.
  EXPECT_FALSE(parse_json(nested(10'000'000), "f.json").ok());
}

class JsonObjectTest : public ::testing::Test {
 protected:
  JsonObject object() const {
    return *JsonObject::from(document_, "config.json");
  }

 private:
  nlohmann::json document_ = nlohmann::json::parse(
      R"({"one":1,"big":18446744073709551615,"half":0.5,"yes":true,
          "text":"t","none":null,"list":[1],"object":{"a":1}})");
};

TEST_F(JsonObjectTest, ReadsMembersOfTheirType) {
  EXPECT_EQ(*object().integer("one", {0, 1}), 1);
  EXPECT_EQ(*object().number("half"), 0.5);
  EXPECT_EQ(*object().number("one"), 1.0);
  EXPECT_TRUE(*object().boolean("yes"));
  EXPECT_EQ(*object().string("text"), "t");
  EXPECT_EQ((*object().array("list"))->size(), 1U);
  EXPECT_EQ(*object().object("object")->integer("a", {0, 9}), 1);
}

TEST_F(JsonObjectTest, TakesTheFallbackForMissingAndNull) {
  EXPECT_EQ(*object().integer("absent", {0, 9}, 7), 7);
  EXPECT_EQ(*object().string("none", "x"), "x");
  EXPECT_EQ(*object().array("none"), nullptr);
  EXPECT_FALSE(object().integer("absent", {0, 9}).ok());
  EXPECT_FALSE(object().object("none").ok());
  EXPECT_TRUE(object().contains("none"));
  EXPECT_FALSE(object().contains("absent"));
}

TEST_F(JsonObjectTest, NamesTheKeyAndTheValue) {
  EXPECT_EQ(object().integer("text", {0, 9}).status().message(),
            "config.json: text is string, expected an integer");
  EXPECT_EQ(object().integer("half", {0, 9}).status().message(),
            "config.json: half is number, expected an integer");
  EXPECT_EQ(object().integer("one", {2, 9}).status().message(),
            "config.json: one is 1, expected 2 to 9");
  EXPECT_THAT(object().integer("big", {0, INT64_MAX}).status().message(),
              HasSubstr("big is 18446744073709551615, expected 0 to"));
  EXPECT_EQ(object().boolean("one").status().message(),
            "config.json: one is number, expected a boolean");
  EXPECT_EQ(object().array("one").status().message(),
            "config.json: one is number, expected an array");
  EXPECT_EQ(object().object("object")->string("b").status().message(),
            "config.json: object: b is missing");
}

}  // namespace
}  // namespace tessera
