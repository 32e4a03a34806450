// SPDX-License-Identifier: Apache-2.0

#include "framework/host/services/services.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstring>
#include <string>
#include <vector>

#include "tessera/requests.hpp"
#include "tests/unit/framework/host/temporary_folder.hpp"

namespace tessera {
namespace {

class Services : public testing::Test {
 protected:
  Services() {
    options_.cache_root = folder_ / "cache";
    options_.log = [this](uint32_t level, std::string_view line) {
      lines_.emplace_back(level, line);
    };
    services_ = std::make_unique<HostServices>("toy", options_,
                                               std::make_shared<ThreadPool>(2));
    table_ = services_->table();
  }

  TemporaryFolder folder_;
  HostOptions options_;
  std::vector<std::pair<uint32_t, std::string>> lines_;
  std::unique_ptr<HostServices> services_;
  const tsr_host_services* table_ = nullptr;
};

TEST_F(Services, AlignMemory) {
  for (uint64_t alignment = 1; alignment <= 8192; alignment *= 2) {
    void* memory = table_->alloc(table_->host, 100, alignment);
    ASSERT_NE(memory, nullptr);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(memory) % alignment, 0u);
    std::memset(memory, 1, 100);
    table_->free(table_->host, memory);
  }
}

TEST_F(Services, RefuseImpossibleMemory) {
  EXPECT_EQ(table_->alloc(table_->host, UINT64_MAX, 64), nullptr);
  EXPECT_EQ(table_->alloc(table_->host, 64, 48), nullptr);
  EXPECT_EQ(table_->alloc(table_->host, 64, 0), nullptr);
}

TEST_F(Services, PassLinesOn) {
  table_->log(table_->host, TSR_LOG_WARNING, "hot");
  ASSERT_EQ(lines_.size(), 1u);
  EXPECT_EQ(lines_[0].first, uint32_t{TSR_LOG_WARNING});
  EXPECT_EQ(lines_[0].second, "hot");
}

TEST_F(Services, GiveEachPluginACacheFolderOfItsOwn) {
  EXPECT_EQ(table_->cache_folder, folder_ / "cache/toy");
  struct stat info {};
  ASSERT_EQ(stat(table_->cache_folder, &info), 0);
  EXPECT_TRUE(S_ISDIR(info.st_mode));
  EXPECT_EQ(info.st_mode & 0777u, 0700u);
}

TEST_F(Services, GiveAnEmptyNameIfThereCanBeNoCacheFolder) {
  folder_.write("file", "");
  HostOptions options;
  options.cache_root = folder_ / "file";
  const HostServices services("toy", options, std::make_shared<ThreadPool>(1));
  EXPECT_STREQ(services.table()->cache_folder, "");
}

TEST_F(Services, RunTasksOnThePool) {
  EXPECT_EQ(table_->num_threads, 2u);
  std::vector<int> done(10);
  table_->parallel_for(
      table_->host, 10,
      [](void* context, uint32_t i) {
        (*static_cast<std::vector<int>*>(context))[i] += 1;
      },
      &done);
  EXPECT_EQ(done, std::vector<int>(10, 1));
}

TEST_F(Services, SignalAndWait) {
  tsr_timeline cell{};
  table_->timeline_signal(table_->host, &cell, 3, TSR_OK);
  EXPECT_EQ(table_->timeline_wait(table_->host, &cell, 3, UINT64_MAX), TSR_OK);
  EXPECT_EQ(table_->timeline_wait(table_->host, &cell, 4, 1000),
            TSR_DEADLINE_EXCEEDED);
  table_->timeline_signal(table_->host, &cell, 4, TSR_INTERNAL);
  EXPECT_EQ(table_->timeline_wait(table_->host, &cell, 4, UINT64_MAX),
            TSR_INTERNAL);
  EXPECT_EQ(cell.value, UINT64_MAX);
}

TEST_F(Services, TellWhichDevicesTheUserNamed) {
  EXPECT_TRUE(sdk::requested_devices(*table_).empty());
  HostOptions options = options_;
  options.requested_devices = {"910b", std::string(300, 'p') + ".yaml", ""};
  const HostServices named("toy", options, std::make_shared<ThreadPool>(1));
  EXPECT_EQ(sdk::requested_devices(*named.table()), options.requested_devices);

  // What is too long is left out, and nothing past it is read.
  options.requested_devices = {"a", std::string(TSR_REQUESTED_BYTES, 'b')};
  const HostServices cut("toy", options, std::make_shared<ThreadPool>(1));
  EXPECT_EQ(sdk::requested_devices(*cut.table()),
            std::vector<std::string>{"a"});
}

}  // namespace
}  // namespace tessera
