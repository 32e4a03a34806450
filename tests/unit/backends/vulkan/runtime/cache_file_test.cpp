// SPDX-License-Identifier: Apache-2.0
//
// A file of the cache is read whole or not at all.

#include "backends/vulkan/runtime/cache_file.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <thread>
#include <vector>

namespace tessera::vulkan {
namespace {

class CacheFileTest : public testing::Test {
 protected:
  void SetUp() override { std::filesystem::create_directories(folder_); }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::string read(const std::string& name) const {
    std::ifstream file(folder_ / name, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  void write(const std::string& name, const std::string& bytes) const {
    std::ofstream(folder_ / name, std::ios::binary) << bytes;
  }
  std::ptrdiff_t num_files() const {
    return std::distance(std::filesystem::directory_iterator(folder_), {});
  }

  const std::filesystem::path folder_ =
      std::filesystem::path(testing::TempDir()) / "tessera_cache_file_test";
  const CacheFile file_{folder_.string(), "rates-1"};
};

TEST_F(CacheFileTest, GivesBackWhatWasStoredLast) {
  EXPECT_EQ(file_.load(), "");
  for (const std::string& bytes :
       {std::string("one\n2"), std::string(1, '\0') + "\n\n", std::string()}) {
    file_.store(bytes);
    EXPECT_EQ(file_.load(), bytes);
  }
  EXPECT_EQ(num_files(), 1);
}

TEST_F(CacheFileTest, AnyChangedByteAndAnyLengthIsSeen) {
  file_.store("0.25 17.5\n");
  const std::string whole = read("rates-1");
  for (size_t at = 0; at < whole.size(); ++at) {
    std::string changed = whole;
    changed[at] = static_cast<char>(changed[at] ^ 1);
    write("rates-1", changed);
    EXPECT_EQ(file_.load(), "") << "byte " << at;
    write("rates-1", whole.substr(0, at));
    EXPECT_EQ(file_.load(), "") << at << " bytes";
  }
  write("rates-1", whole + "0");
  EXPECT_EQ(file_.load(), "");
  write("rates-1", whole);
  EXPECT_EQ(file_.load(), "0.25 17.5\n");
}

TEST_F(CacheFileTest, AnotherKeysFileIsNotTaken) {
  file_.store("mine");
  std::filesystem::copy(folder_ / "rates-1", folder_ / "rates-2");
  EXPECT_EQ(CacheFile(folder_.string(), "rates-2").load(), "");
}

TEST_F(CacheFileTest, WhereNothingCanBeWrittenNothingIsKept) {
  const CacheFile nowhere((folder_ / "none").string(), "rates-1");
  nowhere.store("lost");
  EXPECT_EQ(nowhere.load(), "");
  const CacheFile without("", "rates-1");
  without.store("lost");
  EXPECT_EQ(without.load(), "");
  std::filesystem::create_directories(folder_ / "rates-1" / "in the way");
  file_.store("lost");
  EXPECT_EQ(file_.load(), "");
  EXPECT_EQ(num_files(), 1) << "a draft was left behind";
}

// Writers share no draft, so a reader sees one of them whole.
TEST_F(CacheFileTest, ManyMayWriteAndReadAtOnce) {
  static constexpr size_t kBytes = 100'000;
  file_.store(std::string(kBytes, 'a'));
  std::vector<std::thread> threads;
  for (char letter = 'a'; letter < 'e'; ++letter) {
    threads.emplace_back([this, letter] {
      for (int i = 0; i < 50; ++i) {
        file_.store(std::string(kBytes, letter));
        const std::string found = file_.load();
        EXPECT_EQ(found.size(), kBytes);
        EXPECT_EQ(found.find_first_not_of(found[0]), std::string::npos);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(num_files(), 1);
}

}  // namespace
}  // namespace tessera::vulkan
