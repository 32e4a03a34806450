// SPDX-License-Identifier: Apache-2.0
//
// An unfinished output is kept for the same work, for one process, and becomes
// the output at once or not at all.

#include "framework/quant/output/partial_folder.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "tests/unit/framework/model/scratch_folder.hpp"

namespace tessera::quant {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

const std::vector<float>& hidden() {
  static const std::vector<float> kHidden = {0.5f, -3.0f, 0x1p-130f};
  return kHidden;
}

TEST(PartialFolder, KeepsTheLastStateOfTheSameIdentity) {
  const ScratchFolder scratch;
  const std::string output = scratch.path() + "/out";
  {
    auto folder = PartialFolder::open(output);
    ASSERT_TRUE(folder.ok()) << folder.status().message();
    EXPECT_FALSE(folder->has_state());
    EXPECT_FALSE(folder->load("a").has_value());
    ASSERT_TRUE(folder->save("a", 1, {}, false).ok());
    ASSERT_TRUE(folder->save("a", 2, hidden(), false).ok());
  }
  const auto folder = PartialFolder::open(output);
  ASSERT_TRUE(folder.ok()) << folder.status().message();
  EXPECT_TRUE(folder->has_state());
  EXPECT_FALSE(folder->load("b").has_value());
  const auto saved = folder->load("a");
  ASSERT_TRUE(saved.has_value());
  EXPECT_EQ(saved->state, 2);
  EXPECT_EQ(saved->hidden, hidden());
}

// What a machine that stopped leaves: the state of another start of it.
TEST(PartialFolder, AfterAnotherStartOfTheMachineOnlyWhatWasSyncedCounts) {
  const ScratchFolder scratch;
  const std::string output = scratch.path() + "/out";
  {
    auto folder = PartialFolder::open(output);
    ASSERT_TRUE(folder.ok());
    ASSERT_TRUE(folder->save("a", 1, hidden(), true).ok());
    ASSERT_TRUE(folder->save("a", 2, {}, false).ok());
  }
  const std::string path = output + ".partial/state.json";
  std::ifstream file(path);
  auto state = nlohmann::json::parse(file);
  file.close();
  state["boot"] = "another";
  std::ofstream(path) << state;
  const auto folder = PartialFolder::open(output);
  ASSERT_TRUE(folder.ok());
  const auto saved = folder->load("a");
  ASSERT_TRUE(saved.has_value());
  EXPECT_EQ(saved->state, 1);
  EXPECT_EQ(saved->hidden, hidden());
}

TEST(PartialFolder, DamagedStatesAreNoStates) {
  for (const char* text : {"", "{", "[]", "{\"identity\": 3}",
                           "{\"identity\": \"a\", \"boot\": \"\"}"}) {
    SCOPED_TRACE(text);
    const ScratchFolder scratch;
    const std::string output = scratch.path() + "/out";
    {
      auto folder = PartialFolder::open(output);
      ASSERT_TRUE(folder.ok());
      ASSERT_TRUE(folder->save("a", 1, hidden(), false).ok());
    }
    std::ofstream(output + ".partial/state.json") << text;
    const auto folder = PartialFolder::open(output);
    ASSERT_TRUE(folder.ok());
    EXPECT_FALSE(folder->load("a").has_value());
  }
}

TEST(PartialFolder, HiddenStatesThatWereCutAreNoState) {
  const ScratchFolder scratch;
  const std::string output = scratch.path() + "/out";
  auto folder = PartialFolder::open(output);
  ASSERT_TRUE(folder.ok());
  ASSERT_TRUE(folder->save("a", 1, hidden(), false).ok());
  for (const auto& entry : fs::directory_iterator(folder->path())) {
    if (entry.path().filename().string().starts_with("hidden-")) {
      fs::resize_file(entry.path(), 4);
    }
  }
  EXPECT_FALSE(folder->load("a").has_value());
}

TEST(PartialFolder, GoesUnlessSomethingWasSaved) {
  const ScratchFolder scratch;
  {
    const auto folder = PartialFolder::open(scratch.path() + "/out");
    ASSERT_TRUE(folder.ok());
    std::ofstream(folder->path() + "/weights") << "x";
  }
  EXPECT_TRUE(fs::is_empty(scratch.path()));
}

TEST(PartialFolder, ServesOneAtATime) {
  const ScratchFolder scratch;
  const auto folder = PartialFolder::open(scratch.path() + "/out");
  ASSERT_TRUE(folder.ok());
  EXPECT_THAT(PartialFolder::open(scratch.path() + "/out").status().message(),
              HasSubstr("another process is writing it"));
}

TEST(PartialFolder, BecomesTheOutputWithoutItsOwnFiles) {
  const ScratchFolder scratch;
  const std::string output = scratch.path() + "/out";
  auto folder = PartialFolder::open(output);
  ASSERT_TRUE(folder.ok());
  ASSERT_TRUE(folder->save("a", 1, hidden(), true).ok());
  std::ofstream(folder->path() + "/weights") << "x";
  ASSERT_TRUE(folder->finish().ok());
  EXPECT_FALSE(fs::exists(output + ".partial"));
  EXPECT_EQ(std::distance(fs::directory_iterator(output), {}), 1);
  EXPECT_TRUE(fs::is_regular_file(output + "/weights"));
}

TEST(PartialFolder, AFileOfItTakesThePlaceOfAnOlderOne) {
  const ScratchFolder scratch;
  const std::string output = scratch.write("out", "old");
  auto folder = PartialFolder::open(output);
  ASSERT_TRUE(folder.ok());
  ASSERT_TRUE(folder->save("a", 1, hidden(), true).ok());
  std::ofstream(folder->path() + "/file") << "new one";
  ASSERT_TRUE(folder->finish_as("file").ok());
  EXPECT_FALSE(fs::exists(output + ".partial"));
  EXPECT_EQ(fs::file_size(output), 7U);
}

}  // namespace
}  // namespace tessera::quant
