// SPDX-License-Identifier: Apache-2.0

#include "framework/host/recording/recording_file.hpp"

#include <fmt/format.h>

#include <cstring>
#include <iterator>
#include <unordered_map>
#include <utility>

#include "framework/host/remote/wire.hpp"

namespace tessera::recording {
namespace {

constexpr size_t kWord = sizeof(uint64_t);
constexpr size_t kHeadBytes = 2 * kWord;
constexpr size_t kMaxPlugins = 64;
constexpr uint64_t kMaxRequests = 1024;

uint64_t word_at(std::span<const std::byte> bytes, size_t at) {
  uint64_t word = 0;
  std::memcpy(&word, bytes.data() + at, sizeof(word));
  return word;
}

class FileReader {
 public:
  explicit FileReader(std::span<const std::byte> bytes) : bytes_(bytes) {}

  Result<Recording> read() {
    if (bytes_.size() < kHeadBytes ||
        std::memcmp(bytes_.data(), kMagic, kWord) != 0) {
      return Status(TSR_INVALID_ARGUMENT, "not a recording of calls");
    }
    if (word_at(bytes_, kWord) != kVersion) {
      return Status(TSR_INVALID_ARGUMENT,
                    fmt::format("format {}; this program reads {}",
                                word_at(bytes_, kWord), kVersion));
    }
    at_ = kHeadBytes;
    while (!recording_.is_complete && bytes_.size() - at_ >= kHeadBytes) {
      const uint64_t kind = word_at(bytes_, at_);
      const uint64_t size = word_at(bytes_, at_ + kWord);
      const uint64_t left = bytes_.size() - at_ - kHeadBytes;
      if (size % kWord != 0) return bad("an entry of no whole words");
      if (size > left) break;  // cut short
      TSR_RETURN_IF_ERROR(read_entry(static_cast<EntryKind>(kind),
                                     bytes_.subspan(at_ + kHeadBytes, size)));
      at_ += kHeadBytes + size;
    }
    if (recording_.is_complete && at_ != bytes_.size()) {
      return bad("something follows the end");
    }
    return std::move(recording_);
  }

 private:
  Status bad(const std::string& what) const {
    return {TSR_INVALID_ARGUMENT, fmt::format("at byte {}: {}", at_, what)};
  }

  Status read_entry(EntryKind kind, std::span<const std::byte> body) {
    switch (kind) {
      case EntryKind::kPlugin:
        return read_plugin(body);
      case EntryKind::kCall:
        return read_call(body);
      case EntryKind::kAnswer:
        return read_answer(body);
      case EntryKind::kContents:
        return read_contents(body);
      case EntryKind::kEnd:
        if (body.size() != kWord || word_at(body, 0) > kLimitReached) {
          return bad("no such end");
        }
        recording_.is_complete = true;
        recording_.end = static_cast<EndReason>(word_at(body, 0));
        return {};
    }
    return bad("no such kind of entry");
  }

  Status read_plugin(std::span<const std::byte> body) {
    WireReader reader;
    if (!body.empty()) {
      std::memcpy(reader.reset(body.size()), body.data(), body.size());
    }
    RecordedPlugin plugin;
    const auto index = reader.get<uint64_t>();
    plugin.name = reader.get_text();
    plugin.version = reader.get_text();
    plugin.build_id = reader.get_text();
    plugin.sha256 = reader.get_text();
    plugin.abi_version = reader.get<uint64_t>();
    const auto requests = reader.get<uint64_t>();
    for (uint64_t i = 0; i < requests && i < kMaxRequests && reader.ok(); ++i) {
      plugin.requested_devices.push_back(reader.get_text());
    }
    if (!reader.ok() || requests > kMaxRequests || index >= kMaxPlugins ||
        index != recording_.plugins.size()) {
      return bad("a plugin out of its order, or cut short");
    }
    recording_.plugins.push_back(std::move(plugin));
    return {};
  }

  Status read_call(std::span<const std::byte> body) {
    if (body.size() < 3 * kWord) return bad("a call cut short");
    Entry entry;
    entry.number = word_at(body, 0);
    entry.plugin = word_at(body, kWord);
    const uint64_t call = word_at(body, 2 * kWord);
    if (call == 0 || call > kNumCalls) return bad("no such call");
    entry.call = static_cast<Call>(call);
    if (entry.plugin >= recording_.plugins.size()) {
      return bad("a call of no plugin");
    }
    if (!calls_.emplace(entry.number, recording_.entries.size()).second) {
      return bad("a second call of its number");
    }
    entry.body = body.subspan(3 * kWord);
    recording_.entries.push_back(entry);
    return {};
  }

  Status read_answer(std::span<const std::byte> body) {
    if (body.size() < 4 * kWord) return bad("an answer cut short");
    const auto call = calls_.find(word_at(body, 0));
    if (call == calls_.end()) return bad("an answer to no call");
    Entry& entry = recording_.entries[call->second];
    if (!entry.answer.empty()) return bad("a second answer");
    entry.answer = body.subspan(kWord);
    return {};
  }

  Status read_contents(std::span<const std::byte> body) {
    if (body.size() < 6 * kWord) return bad("contents cut short");
    if (word_at(body, 3 * kWord) > kAfter) return bad("contents of no time");
    const uint64_t size = word_at(body, 5 * kWord);
    if (size > body.size() - 6 * kWord) return bad("contents cut short");
    Entry entry;
    entry.kind = EntryKind::kContents;
    entry.number = word_at(body, 0);
    entry.body = body.subspan(kWord);
    recording_.entries.push_back(entry);
    return {};
  }

  std::span<const std::byte> bytes_;
  size_t at_ = 0;
  Recording recording_;
  std::unordered_map<uint64_t, size_t> calls_;  // index of the entry
};

}  // namespace

const char* call_name(Call call) {
  static constexpr const char* kNames[] = {
      "device_open",       "device_close",    "check",
      "estimate",          "buffer_create",   "buffer_import",
      "buffer_export",     "buffer_map",      "buffer_flush",
      "buffer_invalidate", "buffer_destroy",  "weight_query",
      "packing_begin",     "packing_slice",   "packing_end",
      "weight_create",     "weight_destroy",  "kv_query",
      "kv_create",         "kv_destroy",      "program_create",
      "program_segment",   "program_destroy", "timeline_import",
      "timeline_forget",   "queue_create",    "queue_submit",
      "queue_destroy",     "profile_read",    "device_last_error",
      "device_ask"};
  static_assert(std::size(kNames) == kNumCalls);
  const auto index = static_cast<uint64_t>(call) - 1;
  return index < kNumCalls ? kNames[index] : "no call";
}

Result<Recording> read_recording(std::span<const std::byte> bytes) {
  return FileReader(bytes).read();
}

}  // namespace tessera::recording
