// SPDX-License-Identifier: Apache-2.0

#include "framework/host/loading/search_path.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include "framework/host/trust/trust.hpp"

namespace tessera {
namespace {

using testing::Contains;
using testing::Each;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::StartsWith;

TEST(SearchPath, KeepsTheOrderOfAList) {
  EXPECT_THAT(split_search_path("/b:/a"), ElementsAre("/b", "/a"));
}

TEST(SearchPath, LeavesOutWhatIsNotAbsolute) {
  EXPECT_THAT(split_search_path(""), IsEmpty());
  EXPECT_THAT(split_search_path("."), IsEmpty());
  EXPECT_THAT(split_search_path("plugins:/a::../b:"), ElementsAre("/a"));
}

TEST(SearchPath, BeginsBesideTheExecutable) {
  setenv("TESSERA_PLUGIN_PATH", "/from/environment:here", 1);
  const std::vector<std::string> folders = plugin_search_path();
  unsetenv("TESSERA_PLUGIN_PATH");
  EXPECT_THAT(folders,
              ElementsAre(executable_folder() + "/../plugins",
                          executable_folder() + "/../lib/tessera/plugins",
                          "/from/environment"));
}

TEST(SearchPath, NeverHasTheCurrentFolder) {
  EXPECT_THAT(plugin_search_path(), Each(StartsWith("/")));
}

}  // namespace
}  // namespace tessera
