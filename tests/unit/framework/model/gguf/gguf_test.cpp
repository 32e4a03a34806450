// SPDX-License-Identifier: Apache-2.0
//
// GGUF files, byte by byte: what is read, and what is refused.

#include "framework/model/gguf/gguf.hpp"

#include <gtest/gtest.h>

#include <cstring>

namespace tessera {
namespace {

// Fields one after another, as they lie in a file.
class FileText {
 public:
  FileText(uint32_t version, uint64_t tensors, uint64_t keys) {
    put<uint32_t>(0x46554747).put(version).put(tensors).put(keys);
  }
  template <typename T>
  FileText& put(T value) {
    const size_t at = bytes_.size();
    bytes_.resize(at + sizeof(value));
    std::memcpy(bytes_.data() + at, &value, sizeof(value));
    return *this;
  }
  FileText& text(std::string_view value) {
    put<uint64_t>(value.size());
    bytes_.append(value);
    return *this;
  }
  FileText& tensor(const char* name, uint32_t type, uint64_t offset) {
    text(name).put<uint32_t>(2).put<uint64_t>(32).put<uint64_t>(1);
    return put(type).put(offset);
  }
  // Data of `count` bytes at the next multiple of 32.
  FileText& data(size_t count) {
    bytes_.resize((bytes_.size() + 31) / 32 * 32 + count, '\7');
    return *this;
  }
  Result<Gguf> parse() const {
    return Gguf::parse(std::as_bytes(std::span(bytes_)), "file");
  }
  std::string& bytes() { return bytes_; }

 private:
  std::string bytes_;
};

std::string problem(const FileText& file) {
  const Result<Gguf> parsed = file.parse();
  return parsed.ok() ? "" : parsed.status().message();
}

TEST(Gguf, ReadsVersionsTwoAndThree) {
  for (const uint32_t version : {2U, 3U}) {
    FileText file(version, 2, 2);
    file.text("a.b").put<uint32_t>(4).put<uint32_t>(7);
    file.text("c").put<uint32_t>(9).put<uint32_t>(8).put<uint64_t>(1);
    file.text("word");
    file.tensor("w", 2, 0).tensor("v", 1, 32).data(32 + 64);
    const Result<Gguf> parsed = file.parse();
    ASSERT_TRUE(parsed.ok()) << parsed.status().message();
    EXPECT_EQ(*parsed->integer("a.b"), 7);
    EXPECT_EQ(std::get<std::vector<std::string>>(*parsed->find("c"))[0],
              "word");
    ASSERT_EQ(parsed->tensors().size(), 2U);
    EXPECT_EQ(parsed->tensors()[0].data.size(), 18U);
    EXPECT_EQ(parsed->tensors()[0].shape, (std::vector<uint64_t>{1, 32}));
    EXPECT_EQ(parsed->tensors()[1].data.size(), 64U);
  }
}

TEST(Gguf, RefusesOtherVersions) {
  EXPECT_EQ(problem(FileText(1, 0, 0)),
            "file: GGUF version 1; 2 and 3 are supported");
}

TEST(Gguf, RefusesEveryTruncation) {
  FileText file(3, 1, 1);
  file.text("a").put<uint32_t>(8).text("value");
  file.tensor("w", 2, 0).data(18);
  const std::string whole = file.bytes();
  ASSERT_EQ(problem(file), "");
  for (size_t size = 0; size < whole.size(); ++size) {
    file.bytes() = whole.substr(0, size);
    EXPECT_NE(problem(file), "") << size;
  }
}

TEST(Gguf, RefusesCountsThatTheFileCannotHold) {
  EXPECT_NE(problem(FileText(3, UINT64_MAX, 0)), "");
  EXPECT_NE(problem(FileText(3, 0, UINT64_MAX)), "");
  FileText file(3, 0, 1);
  file.text("a").put<uint32_t>(9).put<uint32_t>(12);
  EXPECT_NE(problem(file.put<uint64_t>(UINT64_MAX)), "");
}

TEST(Gguf, RefusesRepeatedNames) {
  FileText keys(3, 0, 2);
  for (int i = 0; i < 2; ++i) keys.text("a").put<uint32_t>(7).put<uint8_t>(1);
  EXPECT_EQ(problem(keys), "file: key a comes twice");
  FileText tensors(3, 2, 0);
  tensors.tensor("w", 2, 0).tensor("w", 2, 32).data(64);
  EXPECT_EQ(problem(tensors), "file: tensor w comes twice");
}

TEST(Gguf, RefusesOverlapsAndCrookedOffsets) {
  FileText overlap(3, 2, 0);
  overlap.tensor("v", 0, 0).tensor("w", 0, 32).data(256);
  EXPECT_EQ(problem(overlap), "file: tensors v and w overlap");
  FileText crooked(3, 1, 0);
  crooked.tensor("w", 0, 16).data(256);
  EXPECT_NE(problem(crooked), "");
}

TEST(Gguf, RefusesRowsThatBlocksDoNotDivide) {
  FileText file(3, 1, 0);
  file.tensor("w", 14, 0).data(256);  // Q6_K, blocks of 256
  EXPECT_NE(problem(file), "");
}

}  // namespace
}  // namespace tessera
