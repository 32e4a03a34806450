// SPDX-License-Identifier: Apache-2.0

#include "framework/cli/devices/environment.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tessera::cli {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(Environment, FindsAValueWithoutItsQuotes) {
  EXPECT_EQ(find_value("A=1\nPRETTY_NAME=\"Debian 12\"\n", "PRETTY_NAME", '='),
            "Debian 12");
  EXPECT_EQ(find_value("model name\t: Some CPU @ 2: x", "model name", ':'),
            "Some CPU @ 2: x");
}

TEST(Environment, MissingKeyIsEmpty) {
  EXPECT_EQ(find_value("", "a", '='), "");
  EXPECT_EQ(find_value("a\nab=1", "a", '='), "");
  EXPECT_EQ(find_value("a=", "a", '='), "");
}

TEST(Environment, KeepsOnlyVectorExtensions) {
  EXPECT_THAT(vector_extensions("fpu avx2 syscall fma"),
              ElementsAre("avx2", "fma"));
  EXPECT_THAT(vector_extensions(""), IsEmpty());
}

TEST(Environment, ReportsThisMachineAndBuild) {
  const Environment environment = read_environment();
  EXPECT_GE(environment.cores, 1U);
  EXPECT_FALSE(environment.os.empty());
  EXPECT_FALSE(environment.compiler.empty());
  EXPECT_EQ(environment.abi_version, "1.0");
  EXPECT_FALSE(environment.plugin_folders.empty());
}

}  // namespace
}  // namespace tessera::cli
