// SPDX-License-Identifier: Apache-2.0
//
// A write that fails leaves the old file and no litter.

#include "framework/base/atomic_file.hpp"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <string>

#include "tests/unit/framework/base/scratch_folder.hpp"

namespace tessera {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

// Root may write anywhere: it becomes "nobody" for as long as this lives.
class OrdinaryUser {
 public:
  OrdinaryUser() : lowered_(geteuid() == 0 && seteuid(65534) == 0) {}
  OrdinaryUser(const OrdinaryUser&) = delete;
  OrdinaryUser& operator=(const OrdinaryUser&) = delete;
  ~OrdinaryUser() {
    if (lowered_ && seteuid(0) != 0) ADD_FAILURE() << "cannot be root again";
  }

 private:
  bool lowered_;
};

TEST(AtomicFile, WritesWhatItWasGiven) {
  const ScratchFolder folder;
  const std::string bytes("a\0b\xff", 4);
  const Status status = write_file_atomically(folder.path("some"), bytes);
  ASSERT_TRUE(status.ok()) << status.message();
  EXPECT_EQ(folder.read("some"), bytes);
  EXPECT_EQ(folder.num_entries(), 1);
}

TEST(AtomicFile, WritesAnEmptyFile) {
  const ScratchFolder folder;
  const Status status = write_file_atomically(folder.path("empty"), "");
  ASSERT_TRUE(status.ok()) << status.message();
  EXPECT_EQ(std::filesystem::file_size(folder.path("empty")), 0U);
}

TEST(AtomicFile, ReplacesALongerFile) {
  const ScratchFolder folder;
  folder.write("some", "much longer than the new contents");
  const Status status = write_file_atomically(folder.path("some"), "new");
  ASSERT_TRUE(status.ok()) << status.message();
  EXPECT_EQ(folder.read("some"), "new");
  EXPECT_EQ(folder.num_entries(), 1);
}

TEST(AtomicFile, HasThePermissionsOfAnOrdinaryFile) {
  const ScratchFolder folder;
  const mode_t mask = umask(027);
  const Status status = write_file_atomically(folder.path("some"), "x");
  umask(mask);
  ASSERT_TRUE(status.ok()) << status.message();
  struct stat info {};
  ASSERT_EQ(stat(folder.path("some").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777U, 0640U);
}

TEST(AtomicFile, NamesTheFolderThatIsMissing) {
  const ScratchFolder folder;
  const std::string path = folder.path("absent/some");
  const Status status = write_file_atomically(path, "x");
  EXPECT_EQ(status.code(), TSR_FAILED_PRECONDITION);
  EXPECT_EQ(status.message(), "write " + path + ": No such file or directory");
  EXPECT_EQ(folder.num_entries(), 0);
}

TEST(AtomicFile, RefusesAFileAsAFolder) {
  const ScratchFolder folder;
  folder.write("file", "old");
  const Status status = write_file_atomically(folder.path("file/some"), "x");
  EXPECT_THAT(status.message(), HasSubstr("Not a directory"));
  EXPECT_EQ(folder.read("file"), "old");
}

TEST(AtomicFile, LeavesNothingInAFolderItMayNotWrite) {
  const ScratchFolder folder;
  const std::string locked = folder.path("locked");
  std::filesystem::create_directory(locked);
  ASSERT_EQ(chmod(locked.c_str(), 0555), 0);
  Status status;
  {
    const OrdinaryUser user;
    status = write_file_atomically(locked + "/some", "x");
  }
  EXPECT_EQ(status.code(), TSR_FAILED_PRECONDITION);
  EXPECT_THAT(status.message(), StartsWith("write " + locked + "/some: "));
  EXPECT_TRUE(std::filesystem::is_empty(locked));
  chmod(locked.c_str(), 0755);
}

// The contents are written by then; only the rename fails.
TEST(AtomicFile, LeavesNoTemporaryFileWhenTheTargetIsAFolder) {
  const ScratchFolder folder;
  std::filesystem::create_directory(folder.path("taken"));
  const Status status = write_file_atomically(folder.path("taken"), "x");
  EXPECT_EQ(status.code(), TSR_FAILED_PRECONDITION);
  EXPECT_TRUE(std::filesystem::is_directory(folder.path("taken")));
  EXPECT_EQ(folder.num_entries(), 1);
}

// For root, renaming would put a file in place of /dev/null.
TEST(AtomicFile, WritesIntoAPipeAndLeavesItThere) {
  const ScratchFolder folder;
  const std::string pipe = folder.path("pipe");
  ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
  // Both ends, so that no open waits for the other.
  const int fd = open(pipe.c_str(), O_RDWR | O_CLOEXEC);
  ASSERT_GE(fd, 0);
  const Status status = write_file_atomically(pipe, "some text");
  EXPECT_TRUE(status.ok()) << status.message();
  std::string text(64, ' ');
  const ssize_t count = read(fd, text.data(), text.size());
  close(fd);
  EXPECT_EQ(text.substr(0, static_cast<size_t>(count)), "some text");
  EXPECT_TRUE(std::filesystem::is_fifo(pipe));
  EXPECT_EQ(folder.num_entries(), 1);
}

TEST(AtomicFile, SaysThatADeviceIsFull) {
  const Status status = write_file_atomically("/dev/full", "some text");
  EXPECT_EQ(status.code(), TSR_FAILED_PRECONDITION);
  EXPECT_EQ(status.message(), "write /dev/full: No space left on device");
  EXPECT_TRUE(std::filesystem::is_character_file("/dev/full"));
}

}  // namespace
}  // namespace tessera
