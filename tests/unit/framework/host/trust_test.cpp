// SPDX-License-Identifier: Apache-2.0

#include "framework/host/trust/trust.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <random>

#include "framework/host/loading/elf_file.hpp"
#include "framework/host/trust/sha256.hpp"
#include "tests/unit/framework/host/temporary_folder.hpp"

namespace tessera {
namespace {

using testing::HasSubstr;

TEST(Trust, OpensAFileThatOnlyItsOwnerMayWrite) {
  const TemporaryFolder folder;
  const std::string path = folder.write("file", "abc");
  const Result<TrustedFile> file = open_trusted(path);
  ASSERT_TRUE(file.ok()) << file.status().message();
  EXPECT_EQ(file->path, std::filesystem::canonical(path).string());
}

TEST(Trust, ResolvesLinksFirst) {
  const TemporaryFolder folder;
  const std::string path = folder.write("file", "abc");
  ASSERT_EQ(symlink("file", (folder / "link").c_str()), 0);
  const Result<TrustedFile> file = open_trusted(folder / "link");
  ASSERT_TRUE(file.ok()) << file.status().message();
  EXPECT_EQ(file->path, std::filesystem::canonical(path).string());
}

TEST(Trust, RefusesAFileThatOthersMayWrite) {
  const TemporaryFolder folder;
  const std::string path = folder.write("file", "abc");
  ASSERT_EQ(chmod(path.c_str(), 0646), 0);
  const Result<TrustedFile> file = open_trusted(path);
  ASSERT_FALSE(file.ok());
  EXPECT_EQ(file.status().code(), TSR_FAILED_PRECONDITION);
  EXPECT_THAT(file.status().message(), HasSubstr(path));
  EXPECT_THAT(file.status().message(), HasSubstr("mode 0646"));
}

TEST(Trust, RefusesALinkToAFileThatOthersMayWrite) {
  const TemporaryFolder folder;
  const std::string path = folder.write("file", "abc");
  ASSERT_EQ(symlink("file", (folder / "link").c_str()), 0);
  ASSERT_EQ(chmod(path.c_str(), 0666), 0);
  EXPECT_FALSE(open_trusted(folder / "link").ok());
}

TEST(Trust, RefusesAFolderThatOthersMayWrite) {
  const TemporaryFolder folder;
  const std::string path = folder.write("file", "abc");
  ASSERT_EQ(chmod(folder.path().c_str(), 01777), 0);
  EXPECT_THAT(open_trusted(path).status().message(),
              HasSubstr("may be written by others"));
}

TEST(Trust, RefusesAFolderFurtherUpThatOthersMayWrite) {
  const TemporaryFolder folder;
  ASSERT_EQ(mkdir((folder / "inner").c_str(), 0755), 0);
  const std::string path = folder.write("inner/file", "abc");
  ASSERT_TRUE(open_trusted(path).ok());
  ASSERT_EQ(chmod(folder.path().c_str(), 0777), 0);
  EXPECT_FALSE(open_trusted(path).ok());
  // In a sticky folder others cannot exchange what is ours.
  ASSERT_EQ(chmod(folder.path().c_str(), 01777), 0);
  EXPECT_TRUE(open_trusted(path).ok());
}

TEST(Trust, RefusesWhatBelongsToAnother) {
  const TemporaryFolder folder;
  const std::string path = folder.write("file", "abc");
  if (chown(path.c_str(), 4242, static_cast<gid_t>(-1)) != 0) {
    GTEST_SKIP() << "only root can give a file away";
  }
  EXPECT_THAT(open_trusted(path).status().message(),
              HasSubstr("neither root nor this user (owner 4242"));
}

TEST(Trust, RefusesAGroupThatMayWrite) {
  const TemporaryFolder folder;
  const std::string path = folder.write("file", "abc");
  if (chown(path.c_str(), static_cast<uid_t>(-1), 4242) != 0) {
    GTEST_SKIP() << "only root can choose a foreign group";
  }
  ASSERT_EQ(chmod(path.c_str(), 0664), 0);
  EXPECT_FALSE(open_trusted(path).ok());
}

TEST(Trust, RefusesWhatIsNoRegularFile) {
  const TemporaryFolder folder;
  ASSERT_EQ(mkfifo((folder / "pipe").c_str(), 0600), 0);
  EXPECT_THAT(open_trusted(folder / "pipe").status().message(),
              HasSubstr("not a regular file"));
  EXPECT_EQ(open_trusted(folder / "nothing").status().code(), TSR_NOT_FOUND);
}

// Source: FIPS 180-4, the example message "abc".
TEST(Sha256, OfAKnownMessage) {
  const TemporaryFolder folder;
  const Result<TrustedFile> file = open_trusted(folder.write("file", "abc"));
  ASSERT_TRUE(file.ok());
  const Result<std::string> sum = sha256_of_file(file->fd.get());
  ASSERT_TRUE(sum.ok());
  EXPECT_EQ(*sum,
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST(ElfFile, NamesTheLibrariesItNeeds) {
  const Result<TrustedFile> file =
      open_trusted(TSR_BINARY_DIR "/test_plugins/tsr_plugin_toy.so");
  ASSERT_TRUE(file.ok()) << file.status().message();
  const auto names = needed_libraries(file->fd.get());
  ASSERT_TRUE(names.ok()) << names.status().message();
  EXPECT_THAT(*names, testing::Contains(testing::StartsWith("libc.so")));
}

TEST(ElfFile, ATruncatedLibraryIsNotMapped) {
  const std::string whole =
      read_file(TSR_BINARY_DIR "/test_plugins/tsr_plugin_toy.so");
  ASSERT_FALSE(whole.empty());
  const TemporaryFolder folder;
  const auto check = [&](std::string_view text) {
    const Result<TrustedFile> file = open_trusted(folder.write("lib", text));
    return check_library_file(file->fd.get());
  };
  EXPECT_TRUE(check(whole).ok());
  for (const size_t bytes : {size_t{0}, size_t{10}, size_t{63}, size_t{64},
                             size_t{200}, whole.size() / 4}) {
    EXPECT_EQ(check(whole.substr(0, bytes)).code(), TSR_FAILED_PRECONDITION)
        << bytes;
  }
  EXPECT_THAT(check(std::string(1000, 'x')).message(),
              HasSubstr("not a shared library"));
  std::string other = whole;
  other[18] = '\x08';  // e_machine: MIPS
  other[19] = '\0';
  EXPECT_THAT(check(other).message(), HasSubstr("another machine"));
}

// Tables that point anywhere give an error or names, but no crash.
TEST(ElfFile, SurvivesDamage) {
  std::string text =
      read_file(TSR_BINARY_DIR "/test_plugins/tsr_plugin_toy.so");
  const std::string whole = text;
  const TemporaryFolder folder;
  std::mt19937 rng(42);
  for (int round = 0; round < 100; ++round) {
    text = whole;
    for (int flips = 0; flips < 20; ++flips) {
      text[rng() % 2048] = static_cast<char>(rng());
    }
    std::copy_n("\177ELF\2\1\1", 7, text.begin());
    const Result<TrustedFile> file = open_trusted(folder.write("lib", text));
    ASSERT_TRUE(file.ok()) << file.status().message();
    if (check_library_file(file->fd.get()).ok()) {
      const auto names = needed_libraries(file->fd.get());
      EXPECT_TRUE(names.ok() || !names.status().message().empty());
    }
  }
}

}  // namespace
}  // namespace tessera
