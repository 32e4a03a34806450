// SPDX-License-Identifier: Apache-2.0
//
// What goes into the history comes out of it, from one file or merged from
// several.

#include "framework/bench/history/history.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <string>
#include <vector>

#include "tests/unit/framework/base/scratch_folder.hpp"

namespace tessera::bench {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

RunRecord make_run(const std::string& uuid, int64_t began_s) {
  RunRecord run;
  run.head.uuid = uuid;
  run.head.kind = "ops";
  run.head.began_s = began_s;
  run.head.command = "tessera bench ops --shape '1x8x8'";
  run.head.version = "0.1.0";
  run.head.commit = "0123abcd";
  run.head.machine = "feed";
  run.head.processor = "Some CPU";
  run.machine = {{"cpu", "Some CPU"}, {"cores", 2}};
  run.settings = {{"repetitions", 15}};
  run.devices = {{"cpu", "host cpu", "driver 1", "print", "cpu", "0.1", "ff"}};
  run.rows = Json::array(
      {{{"op", "linear"},
        {"case", "a"},
        {"samples_ns", {1.5, 2.25, 0.1}},
        {"ci95_ns", nullptr}},
       {{"case", "b"},
        {"samples", {{"prefill_ns", {3.0}}, {"decode_ns", {4.0, 5.0}}}}},
       {{"case", "c"}, {"reason", "no such \xff kernel"}}});
  return run;
}

Result<History> open(const std::string& path) {
  return History::open(path, Database::Access::kReadWrite);
}

TEST(History, GivesBackWhatWasAdded) {
  const ScratchFolder folder;
  Result<History> history = open(folder.path("h.db"));
  ASSERT_TRUE(history.ok()) << history.status().message();
  const RunRecord run = make_run(make_uuid(), 1000);
  const Result<int64_t> id = history->add(run);
  ASSERT_TRUE(id.ok()) << id.status().message();
  const Result<RunRecord> found = history->load(*id);
  ASSERT_TRUE(found.ok()) << found.status().message();
  EXPECT_EQ(found->head.id, *id);
  EXPECT_EQ(found->head.uuid, run.head.uuid);
  EXPECT_EQ(found->head.command, run.head.command);
  EXPECT_EQ(found->head.commit, "0123abcd");
  EXPECT_EQ(found->head.num_rows, 3U);
  EXPECT_EQ(found->machine, run.machine);
  EXPECT_EQ(found->settings, run.settings);
  ASSERT_EQ(found->devices.size(), 1U);
  EXPECT_EQ(found->devices[0].plugin_sha256, "ff");
  EXPECT_EQ(found->devices[0].driver, "driver 1");
  ASSERT_EQ(found->rows.size(), 3U);
  EXPECT_EQ(found->rows[0].at("samples_ns"), run.rows[0].at("samples_ns"));
  EXPECT_TRUE(found->rows[0].at("ci95_ns").is_null());
  EXPECT_EQ(found->rows[1].at("samples"), run.rows[1].at("samples"));
  EXPECT_EQ(found->rows[2].at("reason"), "no such \xef\xbf\xbd kernel");
}

TEST(History, RefusesARunTwice) {
  const ScratchFolder folder;
  Result<History> history = open(folder.path("h.db"));
  ASSERT_TRUE(history.ok());
  const RunRecord run = make_run("aaaa", 1);
  ASSERT_TRUE(history->add(run).ok());
  EXPECT_EQ(history->add(run).status().code(), TSR_INVALID_ARGUMENT);
  EXPECT_EQ(history->list()->size(), 1U);
}

TEST(History, FindsRunsByNumberAgeAndUuid) {
  const ScratchFolder folder;
  Result<History> history = open(folder.path("h.db"));
  ASSERT_TRUE(history.ok());
  // Added out of order, as merging does.
  ASSERT_EQ(*history->add(make_run("aaaa1111", 300)), 1);
  ASSERT_EQ(*history->add(make_run("aaaa2222", 100)), 2);
  ASSERT_EQ(*history->add(make_run("77770000", 200)), 3);
  EXPECT_EQ(*history->find("2"), 2);
  EXPECT_EQ(*history->find("latest"), 1);
  EXPECT_EQ(*history->find("latest~2"), 2);
  EXPECT_EQ(*history->find("aaaa2"), 2);
  EXPECT_EQ(*history->find("7777"), 3);
  EXPECT_THAT(history->find("aaaa").status().message(),
              HasSubstr("more than one run aaaa"));
  for (const char* name : {"", "0", "4", "latest~3", "latest~", "latest~-1",
                           "aaa", "last", "2 "}) {
    EXPECT_EQ(history->find(name).status().code(), TSR_NOT_FOUND) << name;
  }
  EXPECT_EQ(history->load(9).status().code(), TSR_NOT_FOUND);
}

TEST(History, MergesEachRunOnce) {
  const ScratchFolder folder;
  Result<History> here = open(folder.path("here.db"));
  Result<History> there = open(folder.path("there.db"));
  ASSERT_TRUE(here.ok() && there.ok());
  ASSERT_TRUE(here->add(make_run("aaaa", 1)).ok());
  ASSERT_TRUE(there->add(make_run("bbbb", 2)).ok());
  ASSERT_TRUE(there->add(make_run("aaaa", 1)).ok());
  ASSERT_TRUE(there->add(make_run("cccc", 0)).ok());
  const Result<uint64_t> added = here->merge(*there);
  ASSERT_TRUE(added.ok()) << added.status().message();
  EXPECT_EQ(*added, 2U);
  EXPECT_EQ(*here->merge(*there), 0U);
  std::vector<std::string> uuids;
  const Result<std::vector<RunHead>> heads = here->list();
  ASSERT_TRUE(heads.ok());
  for (const RunHead& head : *heads) uuids.push_back(head.uuid);
  EXPECT_THAT(uuids, ElementsAre("cccc", "aaaa", "bbbb"));
  EXPECT_EQ(here->load(*here->find("bbbb"))->rows, there->load(1)->rows);
}

TEST(History, SaysWhatIsDamaged) {
  const ScratchFolder folder;
  Result<History> history = open(folder.path("h.db"));
  ASSERT_TRUE(history.ok());
  ASSERT_TRUE(history->add(make_run("aaaa", 1)).ok());
  Result<Database> raw = Database::open(folder.path("h.db"),
                                        {0x54736268, "benchmark history", {}});
  // A later version than no steps make.
  EXPECT_EQ(raw.status().code(), TSR_FAILED_PRECONDITION);
  const std::array<const char*, 1> steps = {""};
  raw = Database::open(folder.path("h.db"),
                       {0x54736268, "benchmark history", steps});
  ASSERT_TRUE(raw.ok()) << raw.status().message();
  ASSERT_TRUE(raw->execute("UPDATE sample SET ns = x'010203'").ok());
  EXPECT_EQ(history->load(1).status().code(), TSR_DATA_LOSS);
  ASSERT_TRUE(raw->execute("UPDATE result SET figures = '[1'").ok());
  const Status status = history->load(1).status();
  EXPECT_EQ(status.code(), TSR_DATA_LOSS);
  EXPECT_THAT(status.message(), HasSubstr("h.db: damaged"));
}

TEST(Samples, OfRowsThatAreNoneAreEmpty) {
  for (const char* text :
       {"3", "{}", R"({"samples_ns":"x"})", R"({"samples_ns":[1,"x"]})",
        R"({"samples":[1]})", R"({"samples":{"prefill_ns":{}}})"}) {
    EXPECT_TRUE(samples_of(Json::parse(text)).empty()) << text;
  }
}

}  // namespace
}  // namespace tessera::bench
