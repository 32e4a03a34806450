// SPDX-License-Identifier: Apache-2.0
//
// Every shader that is built in is valid SPIR-V for Vulkan 1.2, by the
// validator of SPIRV-Tools: drivers do not look.

#include <gtest/gtest.h>
#include <stdio.h>

#include <fstream>
#include <string>
#include <vector>

#include "backends/vulkan/shaders/shader_code.hpp"

namespace tessera::vulkan {
namespace {

bool has_validator() {
  return std::string(TSR_SPIRV_VAL).find("NOTFOUND") == std::string::npos;
}

// What spirv-val prints about those words; empty if they are valid.
std::string validate(const std::string& name,
                     const std::vector<uint32_t>& words) {
  const std::string path = testing::TempDir() + "/" + name + ".spv";
  std::ofstream(path, std::ios::binary)
      .write(reinterpret_cast<const char*>(words.data()),
             static_cast<std::streamsize>(words.size() * sizeof(uint32_t)));
  const std::string command = TSR_SPIRV_VAL
                              " --target-env vulkan1.2 --scalar-block-layout " +
                              path + " 2>&1";
  FILE* pipe = popen(command.c_str(), "r");
  std::string text;
  for (int c = fgetc(pipe); c != EOF; c = fgetc(pipe)) {
    text += static_cast<char>(c);
  }
  const int status = pclose(pipe);
  return status == 0 ? "" : text + command;
}

std::vector<uint32_t> words_of(const ShaderCode& shader) {
  return {shader.words, shader.words + shader.bytes / sizeof(uint32_t)};
}

TEST(VulkanShaders, AreValid) {
  if (!has_validator()) GTEST_SKIP() << "spirv-val is not installed";
  ASSERT_FALSE(all_shaders().empty());
  for (const ShaderCode& shader : all_shaders()) {
    EXPECT_EQ(validate(shader.name, words_of(shader)), "") << shader.name;
  }
}

// The validator looks: without its last instruction no function ends.
TEST(VulkanShaders, AreNotValidCutShort) {
  if (!has_validator()) GTEST_SKIP() << "spirv-val is not installed";
  std::vector<uint32_t> words = words_of(find_shader("map"));
  words.pop_back();
  EXPECT_NE(validate("map_cut", words), "");
}

}  // namespace
}  // namespace tessera::vulkan
