// SPDX-License-Identifier: Apache-2.0

#include "framework/tuning/plan/cost_store.hpp"

#include <gmock/gmock.h>

#include <filesystem>
#include <fstream>
#include <string>

namespace tessera {
namespace {

class CostStoreFile : public testing::Test {
 protected:
  CostStoreFile()
      : path_(testing::TempDir() + "/tessera_costs_" +
              testing::UnitTest::GetInstance()->current_test_info()->name() +
              ".db") {
    std::filesystem::remove(path_);
  }
  ~CostStoreFile() override { std::filesystem::remove(path_); }

  CostStore open() {
    Result<CostStore> store = CostStore::open(path_);
    EXPECT_TRUE(store.ok()) << store.status().message();
    return std::move(*store);
  }

  std::string path_;
};

CostKey a_key() {
  return {"5f1c",         2,          "attention 64x64",
          "w8a8_dynamic", "f32 kv 0", "prompt 32 generate 16 batch 1 step 32"};
}

MeasuredSegment a_segment(double ns) {
  MeasuredSegment segment;
  segment.spread = {TimeSpread{0.75, 1.5}, TimeSpread{0.875, 1.25}};
  segment.parts.push_back({"", "", {{{ns, 0.0, 64, ""}, {1.5, 0.0, 0, ""}}}});
  segment.parts.push_back(
      {"q_proj", "vnni", {{{2.0 * ns, 0.0, 0, ""}, {0.25, 0.0, 128, ""}}}});
  return segment;
}

TEST_F(CostStoreFile, GivesBackWhatWasPutAcrossProcesses) {
  ASSERT_TRUE(open().put(a_key(), a_segment(1e9 / 3.0)).ok());
  CostStore again = open();
  const auto found = again.find(a_key());
  ASSERT_TRUE(found.ok()) << found.status().message();
  ASSERT_TRUE(found->has_value());
  const MeasuredSegment& segment = **found;
  ASSERT_EQ(segment.parts.size(), 2U);
  EXPECT_EQ(segment.parts[0].costs[0].ns, 1e9 / 3.0) << "every bit of it";
  EXPECT_EQ(segment.parts[0].costs[0].workspace_bytes, 64U);
  EXPECT_EQ(segment.parts[1].name, "q_proj");
  EXPECT_EQ(segment.parts[1].kernel, "vnni");
  EXPECT_EQ(segment.parts[1].costs[1].ns, 0.25);
  EXPECT_EQ(segment.parts[1].costs[1].workspace_bytes, 128U);
  EXPECT_EQ(segment.parts[1].costs[1].source, "measured");
  EXPECT_EQ(segment.spread[0].low, 0.75);
  EXPECT_EQ(segment.spread[0].high, 1.5);
  EXPECT_EQ(segment.spread[1].low, 0.875);
  EXPECT_EQ(segment.spread[1].high, 1.25);
}

TEST_F(CostStoreFile, TellsEveryPartOfAKeyApart) {
  CostStore store = open();
  ASSERT_TRUE(store.put(a_key(), a_segment(1.0)).ok());
  CostKey other = a_key();
  other.threads = 1;
  EXPECT_FALSE(store.find(other)->has_value());
  for (std::string CostKey::*part :
       {&CostKey::device, &CostKey::segment, &CostKey::scheme, &CostKey::base,
        &CostKey::workload}) {
    other = a_key();
    other.*part += "'";
    EXPECT_FALSE(store.find(other)->has_value()) << other.*part;
  }
  EXPECT_TRUE(store.find(a_key())->has_value());
}

TEST_F(CostStoreFile, ReplacesWhatWasThere) {
  CostStore store = open();
  ASSERT_TRUE(store.put(a_key(), a_segment(1.0)).ok());
  MeasuredSegment less = a_segment(7.0);
  less.parts.pop_back();
  ASSERT_TRUE(store.put(a_key(), less).ok());
  const auto found = store.find(a_key());
  ASSERT_TRUE(found.ok() && found->has_value());
  ASSERT_EQ((*found)->parts.size(), 1U);
  EXPECT_EQ((*found)->parts[0].costs[0].ns, 7.0);
}

TEST_F(CostStoreFile, RefusesAnotherFile) {
  std::ofstream(path_) << "not a database, but longer than its header: "
                       << std::string(200, 'x');
  const Result<CostStore> store = CostStore::open(path_);
  ASSERT_FALSE(store.ok());
  EXPECT_THAT(store.status().message(), testing::HasSubstr(path_));
}

}  // namespace
}  // namespace tessera
