// SPDX-License-Identifier: Apache-2.0
//
// A mapping shows a file's bytes, and refuses whatever is not a regular file.

#include "framework/base/mapped_file.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tests/unit/framework/base/scratch_folder.hpp"

namespace tessera {
namespace {

using testing::HasSubstr;

std::string_view text_of(const MappedFile& file) {
  return {reinterpret_cast<const char*>(file.bytes().data()),
          file.bytes().size()};
}

TEST(MappedFile, ShowsTheBytesOfAFile) {
  const ScratchFolder folder;
  const std::string bytes("a\0b\xff", 4);
  const auto file = MappedFile::open(folder.write("some", bytes));
  ASSERT_TRUE(file.ok()) << file.status().message();
  EXPECT_EQ(text_of(*file), bytes);
}

TEST(MappedFile, ShowsSizesAroundAPage) {
  const ScratchFolder folder;
  const auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  for (const size_t size : {size_t{1}, page - 1, page, page + 1}) {
    std::string bytes(size, 'x');
    bytes.back() = 'y';
    const auto file = MappedFile::open(folder.write("some", bytes));
    ASSERT_TRUE(file.ok()) << file.status().message();
    EXPECT_EQ(text_of(*file), bytes);
  }
}

TEST(MappedFile, ShowsNothingOfAnEmptyFile) {
  const ScratchFolder folder;
  const auto file = MappedFile::open(folder.write("empty", ""));
  ASSERT_TRUE(file.ok()) << file.status().message();
  EXPECT_TRUE(file->bytes().empty());
}

TEST(MappedFile, KeepsItsBytesWhenTheirMemoryIsGivenBack) {
  const ScratchFolder folder;
  const auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  std::string bytes(3 * page + 7, 'x');
  for (size_t i = 0; i < bytes.size(); i += 11) bytes[i] = 'y';
  const auto file = MappedFile::open(folder.write("some", bytes));
  ASSERT_TRUE(file.ok()) << file.status().message();
  for (const size_t first : {size_t{0}, size_t{1}, page, 2 * page + 5}) {
    prefetch_mapped(file->bytes().subspan(first));
    release_mapped(file->bytes().subspan(first));
    EXPECT_EQ(text_of(*file), bytes);
  }
}

// Giving back memory that is in no file would lose what it holds.
TEST(MappedFile, AdviceLeavesOtherMemoryAlone) {
  const auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  const std::vector<std::byte> heap(8 * page, std::byte{7});
  release_mapped(heap);
  EXPECT_EQ(heap, std::vector<std::byte>(8 * page, std::byte{7}));
  release_mapped({});

  // Nor memory where a file was mapped before.
  const ScratchFolder folder;
  const std::byte* gone = nullptr;
  {
    const auto file =
        MappedFile::open(folder.write("some", std::string(4 * page, 'x')));
    ASSERT_TRUE(file.ok());
    gone = file->bytes().data();
  }
  release_mapped({gone, 4 * page});
}

TEST(MappedFile, FollowsALinkToAFile) {
  const ScratchFolder folder;
  std::filesystem::create_symlink(folder.write("target", "abc"),
                                  folder.path("link"));
  const auto file = MappedFile::open(folder.path("link"));
  ASSERT_TRUE(file.ok()) << file.status().message();
  EXPECT_EQ(text_of(*file), "abc");
}

TEST(MappedFile, NamesThePathThatIsMissing) {
  const ScratchFolder folder;
  const auto file = MappedFile::open(folder.path("absent"));
  ASSERT_FALSE(file.ok());
  EXPECT_EQ(file.status().code(), TSR_NOT_FOUND);
  EXPECT_EQ(file.status().message(),
            folder.path("absent") + ": No such file or directory");
}

TEST(MappedFile, RefusesAFolder) {
  const ScratchFolder folder;
  const auto file = MappedFile::open(folder.path("."));
  ASSERT_FALSE(file.ok());
  EXPECT_EQ(file.status().code(), TSR_INVALID_ARGUMENT);
  EXPECT_THAT(file.status().message(), HasSubstr("not a regular file"));
}

TEST(MappedFile, RefusesAFifoWithoutWaitingForAWriter) {
  const ScratchFolder folder;
  ASSERT_EQ(mkfifo(folder.path("fifo").c_str(), 0600), 0);
  const auto file = MappedFile::open(folder.path("fifo"));
  ASSERT_FALSE(file.ok());
  EXPECT_EQ(file.status().code(), TSR_INVALID_ARGUMENT);
  EXPECT_THAT(file.status().message(), HasSubstr("not a regular file"));
}

TEST(MappedFile, RefusesADevice) {
  const auto file = MappedFile::open("/dev/null");
  ASSERT_FALSE(file.ok());
  EXPECT_EQ(file.status().code(), TSR_INVALID_ARGUMENT);
}

TEST(MappedFile, OutlivesTheNameOfItsFile) {
  const ScratchFolder folder;
  const auto file = MappedFile::open(folder.write("some", "abc"));
  ASSERT_TRUE(file.ok()) << file.status().message();
  std::filesystem::remove(folder.path("some"));
  EXPECT_EQ(text_of(*file), "abc");
}

TEST(MappedFile, MovesItsMapping) {
  const ScratchFolder folder;
  auto first = MappedFile::open(folder.write("first", "first"));
  auto second = MappedFile::open(folder.write("second", "second"));
  ASSERT_TRUE(first.ok() && second.ok());

  MappedFile file = std::move(*first);
  EXPECT_EQ(text_of(file), "first");
  EXPECT_TRUE(first->bytes().empty());  // NOLINT(bugprone-use-after-move)

  file = std::move(*second);
  EXPECT_EQ(text_of(file), "second");
}

}  // namespace
}  // namespace tessera
