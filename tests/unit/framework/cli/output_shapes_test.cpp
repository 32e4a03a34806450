// SPDX-License-Identifier: Apache-2.0

#include "framework/cli/json/output_shapes.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <set>
#include <string>

#include "framework/cli/manual/command_page.hpp"

namespace tessera::cli {
namespace {

using testing::HasSubstr;

OutputShape sample_shape() {
  return {
      "sample",
      OutputForm::kObject,
      "",
      {text("name"), number("rate").with_interval(), count("size").or_null(),
       flag("ok").or_absent(), list("rows", "", {number("x")}),
       map_of("by_name", "", list_of("", "", text("")))}};
}

Json sample() {
  return {{"name", "a"},
          {"rate", 1.5},
          {"rate_ci95", {1, 2}},
          {"size", nullptr},
          {"rows", {{{"x", 1}}, {{"x", 2.5}}}},
          {"by_name", {{"b", {"c"}}}}};
}

std::string complaint(const Json& value) {
  return check_output(sample_shape(), value).message();
}

TEST(CheckOutput, TakesWhatIsDeclared) {
  EXPECT_EQ(complaint(sample()), "");
  Json more = sample();
  more["ok"] = true;
  more["size"] = 3;
  EXPECT_EQ(complaint(more), "");
}

TEST(CheckOutput, NamesWhatIsNot) {
  Json value = sample();
  value.erase("name");
  EXPECT_THAT(complaint(value), HasSubstr("sample: .name is missing"));
  value = sample();
  value["nmae"] = 1;
  EXPECT_THAT(complaint(value), HasSubstr(".nmae is not declared"));
  value = sample();
  value["name"] = 1;
  EXPECT_THAT(complaint(value), HasSubstr(".name is not text"));
  value = sample();
  value["name"] = nullptr;
  EXPECT_THAT(complaint(value), HasSubstr(".name is null"));
  value = sample();
  value["size"] = -1;
  EXPECT_THAT(complaint(value), HasSubstr(".size is not a whole number"));
  value = sample();
  value["rows"][1]["x"] = "2";
  EXPECT_THAT(complaint(value), HasSubstr(".rows[1].x is not a number"));
  value = sample();
  value["by_name"]["b"][0] = 7;
  EXPECT_THAT(complaint(value), HasSubstr(".by_name[b][0] is not text"));
}

TEST(CheckOutput, KnowsThatInfinityPrintsAsNull) {
  Json value = sample();
  value["rate"] = std::numeric_limits<double>::infinity();
  EXPECT_THAT(complaint(value), HasSubstr(".rate is null"));
}

TEST(CheckOutput, TellsListsFromObjects) {
  OutputShape shape{"s", OutputForm::kObjectOrList, "", {count("n")}};
  const Json one = {{"n", 1}};
  EXPECT_TRUE(check_output(shape, one).ok());
  EXPECT_TRUE(check_output(shape, Json::array({one, one})).ok());
  shape.form = OutputForm::kList;
  EXPECT_FALSE(check_output(shape, one).ok());
  shape.form = OutputForm::kObject;
  EXPECT_FALSE(check_output(shape, Json::array({one})).ok());
}

TEST(CheckJson, RefusesACommandThatDeclaresNothing) {
  EXPECT_EQ(check_json("nonsense", Json::object()).code(), TSR_INTERNAL);
}

// Commands that do something themselves, rather than by a subcommand alone.
std::set<std::string> acting_commands(const std::vector<CommandPage>& pages) {
  std::set<std::string> acting;
  for (const CommandPage& page : pages) {
    const bool is_group = !page.subcommands.empty() && page.path != "plan";
    if (!is_group && !page.path.empty()) acting.insert(page.path);
  }
  return acting;
}

TEST(OutputShapes, EveryCommandHasJsonAndDeclaresIt) {
  const std::vector<CommandPage> pages = all_command_pages();
  std::set<std::string> acting = acting_commands(pages);
  ASSERT_GT(acting.size(), 25U);
  // They print scripts, pages and schemas.
  acting.erase("completion");
  acting.erase("manual");
  for (const CommandPage& page : pages) {
    if (!acting.contains(page.path)) continue;
    SCOPED_TRACE(page.path);
    bool has_json = false;
    for (const OptionEntry& option : page.options) {
      for (const std::string& name : option.names) {
        has_json = has_json || name == "--json";
      }
    }
    EXPECT_TRUE(has_json);
    EXPECT_NE(find_output_shape(page.path), nullptr);
  }
}

TEST(OutputShapes, AreOfCommandsThatExist) {
  const std::set<std::string> acting = acting_commands(all_command_pages());
  std::set<std::string> seen;
  for (const OutputShape& shape : output_shapes()) {
    const std::string command =
        shape.command.substr(0, shape.command.find(" --"));
    EXPECT_TRUE(acting.contains(command)) << shape.command;
    EXPECT_TRUE(seen.insert(shape.command).second) << shape.command;
    EXPECT_THAT(json_page(), HasSubstr("\n## " + shape.command + "\n"));
  }
}

}  // namespace
}  // namespace tessera::cli
