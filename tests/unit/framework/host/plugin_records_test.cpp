// SPDX-License-Identifier: Apache-2.0

#include "framework/host/loading/plugin_records.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "tests/unit/framework/host/temporary_folder.hpp"

namespace tessera {
namespace {

const std::string kSha(64, 'a');

class Records : public ::testing::Test {
 protected:
  TemporaryFolder folder_;
  PluginRecords records_{folder_.path() + "/state/plugins"};
  std::string file_ = folder_.path() + "/state/plugins/toy.json";
};

TEST_F(Records, RememberOffencesOfOneLibrary) {
  EXPECT_FALSE(records_.find("toy").is_quarantined(kSha));
  ASSERT_TRUE(
      records_.add_offence("toy", kSha, {"toy:0", "died", "today"}).ok());
  ASSERT_TRUE(
      records_.add_offence("toy", kSha, {"toy:1", "hung", "today"}).ok());
  const PluginRecord record = records_.find("toy");
  EXPECT_TRUE(record.is_quarantined(kSha));
  ASSERT_EQ(record.offences.size(), 2u);
  EXPECT_EQ(record.offences[1].device, "toy:1");
  EXPECT_EQ(record.offences[1].reason, "hung");
}

TEST_F(Records, AnotherLibraryStartsWithACleanSheet) {
  ASSERT_TRUE(
      records_.add_offence("toy", kSha, {"toy:0", "died", "today"}).ok());
  const std::string newer(64, 'b');
  EXPECT_FALSE(records_.find("toy").is_quarantined(newer));
  ASSERT_TRUE(
      records_.add_offence("toy", newer, {"toy", "hung", "today"}).ok());
  EXPECT_EQ(records_.find("toy").offences.size(), 1u);
}

TEST_F(Records, KeepTheLatestOffences) {
  for (int i = 0; i < 30; ++i) {
    ASSERT_TRUE(
        records_.add_offence("toy", kSha, {"toy", std::to_string(i), ""}).ok());
  }
  const PluginRecord record = records_.find("toy");
  EXPECT_LE(record.offences.size(), 8u);
  EXPECT_EQ(record.offences.back().reason, "29");
}

TEST_F(Records, AnEmptyOneLeavesNoFile) {
  PluginRecord record;
  record.plugin = "toy";
  record.disabled = true;
  ASSERT_TRUE(records_.save(record).ok());
  EXPECT_TRUE(records_.find("toy").disabled);
  record.disabled = false;
  ASSERT_TRUE(records_.save(record).ok());
  EXPECT_FALSE(std::filesystem::exists(file_));
}

TEST_F(Records, ReadWhatTheyWrote) {
  PluginRecord record{"toy", true, kSha, {{"toy:0", "said \"no\"\n", "d"}}};
  const auto read = parse_plugin_record(plugin_record_json(record));
  ASSERT_TRUE(read.ok()) << read.status().message();
  EXPECT_EQ(plugin_record_json(*read), plugin_record_json(record));
}

TEST_F(Records, BelieveNoFileThatOthersMayWrite) {
  ASSERT_TRUE(records_.add_offence("toy", kSha, {"toy", "died", ""}).ok());
  ASSERT_EQ(chmod(file_.c_str(), 0666), 0);
  EXPECT_FALSE(records_.find("toy").is_quarantined(kSha));
}

TEST_F(Records, AreNotFooledByDamageOrNames) {
  ASSERT_TRUE(records_.add_offence("toy", kSha, {"toy", "died", ""}).ok());
  std::ofstream(file_) << "{\"format\": 1}";
  EXPECT_TRUE(records_.find("toy").is_empty());
  EXPECT_FALSE(parse_plugin_record("[1]").ok());
  EXPECT_FALSE(parse_plugin_record("").ok());
  PluginRecord record;
  record.plugin = "../../escape";
  record.disabled = true;
  EXPECT_EQ(records_.save(record).code(), TSR_INVALID_ARGUMENT);
  EXPECT_TRUE(records_.find("../../escape").is_empty());
}

TEST(PluginRecordsWithoutAFolder, RememberNothing) {
  const PluginRecords records("");
  EXPECT_TRUE(records.find("toy").is_empty());
  EXPECT_EQ(records.add_offence("toy", kSha, {}).code(),
            TSR_FAILED_PRECONDITION);
}

}  // namespace
}  // namespace tessera
