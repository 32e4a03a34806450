// SPDX-License-Identifier: Apache-2.0

#include "framework/cli/new_plugin/project.hpp"

#include <gtest/gtest.h>

namespace tessera::cli {
namespace {

std::string renamed_text(const std::string& text) {
  return renamed({{"a.cpp", text}}, "template", "my_npu")[0].text;
}

TEST(NewPlugin, RenamesWordsAndClassNames) {
  EXPECT_EQ(renamed_text("tsr_plugin_template.so"), "tsr_plugin_my_npu.so");
  EXPECT_EQ(renamed_text("class TemplateDevice;"), "class MyNpuDevice;");
  EXPECT_EQ(renamed_text("template"), "my_npu");
}

TEST(NewPlugin, LeavesWordsThatOnlyContainTheName) {
  EXPECT_EQ(renamed_text("templates untemplated"), "templates untemplated");
  EXPECT_EQ(renamed_text("aTemplate"), "aTemplate");
}

TEST(NewPlugin, ProjectsHoldEverythingThatBuilds) {
  for (const auto& project : {template_project(), tutorial_project()}) {
    bool has_cmake = false;
    for (const ProjectFile& file : project) {
      has_cmake = has_cmake || file.path == "CMakeLists.txt";
      EXPECT_FALSE(file.text.empty()) << file.path;
    }
    EXPECT_TRUE(has_cmake);
  }
}

}  // namespace
}  // namespace tessera::cli
