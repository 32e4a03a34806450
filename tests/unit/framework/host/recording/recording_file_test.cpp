// SPDX-License-Identifier: Apache-2.0

#include "framework/host/recording/recording_file.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>

#include "framework/host/remote/wire.hpp"

namespace tessera::recording {
namespace {

using testing::HasSubstr;

// A file, entry by entry.
class FileBytes {
 public:
  FileBytes() {
    uint64_t magic = 0;
    std::memcpy(&magic, kMagic, sizeof(magic));
    writer_.put(magic);
    writer_.put(kVersion);
  }
  FileBytes& add(EntryKind kind, const WireWriter& body) {
    writer_.put(kind);
    writer_.put(uint64_t{body.bytes().size()});
    writer_.put_raw(body.bytes());
    return *this;
  }
  FileBytes& plugin(uint64_t index = 0) {
    WireWriter body;
    body.put(index);
    for (const char* text : {"toy", "1.0", "build", ""}) body.put_text(text);
    body.put(uint64_t{0x10000});
    body.put(uint64_t{0});
    return add(EntryKind::kPlugin, body);
  }
  FileBytes& numbers(EntryKind kind, std::initializer_list<uint64_t> values) {
    WireWriter body;
    for (const uint64_t value : values) body.put(value);
    return add(kind, body);
  }
  FileBytes& call(uint64_t number, Call call = Call::kDeviceOpen) {
    return numbers(EntryKind::kCall, {number, 0, static_cast<uint64_t>(call)});
  }
  FileBytes& end() { return numbers(EntryKind::kEnd, {kWhole}); }

  std::span<const std::byte> bytes() const { return writer_.bytes(); }
  Result<Recording> read() const { return read_recording(bytes()); }
  std::string message() const { return read().status().message(); }

 private:
  WireWriter writer_;
};

TEST(RecordingFile, IsReadAsItWasWritten) {
  FileBytes file;
  file.plugin().call(1).numbers(EntryKind::kAnswer, {1, 0, 0, 0, 7});
  file.call(2, Call::kQueueSubmit).end();
  const auto recording = file.read();
  ASSERT_TRUE(recording.ok()) << recording.status().message();
  EXPECT_TRUE(recording->is_complete);
  ASSERT_EQ(recording->plugins.size(), 1u);
  EXPECT_EQ(recording->plugins[0].name, "toy");
  ASSERT_EQ(recording->entries.size(), 2u);
  EXPECT_EQ(recording->entries[0].answer.size(), 4 * sizeof(uint64_t));
  EXPECT_EQ(recording->entries[1].call, Call::kQueueSubmit);
  EXPECT_TRUE(recording->entries[1].answer.empty()) << "it never came";
}

TEST(RecordingFile, OfAProgramThatWasEndedIsReadUpToThere) {
  FileBytes file;
  file.plugin().call(1).call(2);
  const auto bytes = file.bytes();
  for (size_t cut = 0; cut < bytes.size(); ++cut) {
    const auto recording = read_recording(bytes.first(bytes.size() - cut));
    if (bytes.size() - cut < 16) {
      EXPECT_FALSE(recording.ok());
      continue;
    }
    ASSERT_TRUE(recording.ok()) << recording.status().message();
    EXPECT_FALSE(recording->is_complete);
    EXPECT_LE(recording->entries.size(), cut == 0 ? 2u : 1u);
  }
}

TEST(RecordingFile, SaysWhatIsWrongAndWhere) {
  EXPECT_THAT(FileBytes().call(1).message(), HasSubstr("a call of no plugin"));
  EXPECT_THAT(FileBytes().plugin(1).message(), HasSubstr("out of its order"));
  EXPECT_THAT(FileBytes().plugin().call(1).call(1).message(),
              HasSubstr("a second call"));
  EXPECT_THAT(
      FileBytes().plugin().numbers(EntryKind::kAnswer, {9, 0, 0, 0}).message(),
      HasSubstr("an answer to no call"));
  EXPECT_THAT(
      FileBytes().plugin().numbers(EntryKind::kCall, {1, 0, 99}).message(),
      HasSubstr("at byte 112: no such call"));
  EXPECT_THAT(FileBytes()
                  .numbers(EntryKind::kContents, {1, 1, 1, 0, 0, 64, 0})
                  .message(),
              HasSubstr("contents cut short"));
  EXPECT_THAT(FileBytes().end().end().message(), HasSubstr("follows the end"));
  EXPECT_THAT(FileBytes().numbers(static_cast<EntryKind>(77), {1}).message(),
              HasSubstr("no such kind of entry"));
}

TEST(RecordingFile, IsNoOtherFile) {
  const std::vector<uint64_t> words(8, 0x2020202020202020);
  EXPECT_THAT(
      read_recording(std::as_bytes(std::span(words))).status().message(),
      HasSubstr("not a recording"));
  EXPECT_FALSE(read_recording({}).ok());
}

}  // namespace
}  // namespace tessera::recording
