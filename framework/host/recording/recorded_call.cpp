// SPDX-License-Identifier: Apache-2.0

#include "framework/host/recording/recorded_call.hpp"

#include <fmt/format.h>
#include <string.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "framework/base/log.hpp"

namespace tessera::recording {
namespace {

constexpr size_t kPageBytes = 4096;
constexpr size_t kMaxContentsBytes = size_t{16} << 20;
// Of an entry's kind and size, and of the end.
constexpr uint64_t kHeadBytes = 2 * sizeof(uint64_t);

bool write_words(FILE* file, std::span<const uint64_t> words) {
  return std::fwrite(words.data(), sizeof(uint64_t), words.size(), file) ==
         words.size();
}

size_t page_at(const VisibleBuffer& buffer, size_t at) {
  return std::min(kPageBytes, buffer.known.size() - at);
}

bool is_changed(const VisibleBuffer& buffer, size_t at) {
  return std::memcmp(buffer.known.data() + at, buffer.memory + at,
                     page_at(buffer, at)) != 0;
}

}  // namespace

State& state() {
  static auto* instance = new State;
  return *instance;
}

void append(EntryKind kind, std::span<const std::byte> body) {
  State& all = state();
  if (all.file == nullptr) return;
  const uint64_t bytes = kHeadBytes + body.size();
  if (all.written + bytes > all.limit) {
    log(TSR_LOG_WARNING,
        fmt::format("recording {}: ends in call {}, at its limit of {} bytes; "
                    "TESSERA_RECORD_LIMIT sets another, in MiB",
                    all.path, all.next_number - 1, all.limit));
    close_file(kLimitReached);
    return;
  }
  const uint64_t head[] = {static_cast<uint64_t>(kind), body.size()};
  const bool done = write_words(all.file, head) &&
                    (body.empty() || std::fwrite(body.data(), 1, body.size(),
                                                 all.file) == body.size());
  all.written += bytes;
  if (done) return;
  all.failed = true;
  log(TSR_LOG_ERROR,
      fmt::format("recording {}: {}", all.path, strerror(errno)));
  std::fclose(all.file);
  all.file = nullptr;
  unlink((all.path + ".partial").c_str());
}

void close_file(EndReason reason) {
  State& all = state();
  if (all.file == nullptr) return;
  const uint64_t end[] = {static_cast<uint64_t>(EntryKind::kEnd),
                          sizeof(uint64_t), reason};
  const std::string partial = all.path + ".partial";
  const bool written = write_words(all.file, end);
  const bool closed = std::fclose(all.file) == 0;
  all.file = nullptr;
  all.failed = !written || !closed ||
               std::rename(partial.c_str(), all.path.c_str()) != 0;
}

void append_contents(DeviceState& device, uint64_t number, ContentsTime when) {
  const State& all = state();
  if (all.file == nullptr || device.slot < all.first_plugin) return;
  for (auto& [id, buffer] : device.visible) {
    const size_t size = buffer.known.size();
    for (size_t at = 0; at < size; at += kPageBytes) {
      if (!is_changed(buffer, at)) continue;
      size_t end = at + page_at(buffer, at);
      while (end < size && end - at < kMaxContentsBytes &&
             is_changed(buffer, end)) {
        end += page_at(buffer, end);
      }
      // Copied first: the memory may change while it is written.
      std::memcpy(buffer.known.data() + at, buffer.memory + at, end - at);
      WireWriter entry;
      for (const uint64_t value :
           {number, device.ordinal, id, uint64_t{when}, uint64_t{at}}) {
        entry.put(value);
      }
      entry.put_bytes(std::span(buffer.known).subspan(at, end - at));
      append(EntryKind::kContents, entry.bytes());
      at = (end - 1) / kPageBytes * kPageBytes;
    }
  }
}

RecordedCall::RecordedCall(size_t slot, Call call) : lock_(state().mutex) {
  begin_arguments(slot, call);
}

RecordedCall::RecordedCall(tsr_device* device, Call call)
    : lock_(state().mutex), device_(&state().devices[device]) {
  begin_arguments(device_->slot, call);
  arguments_.put(device_->ordinal);
}

void RecordedCall::begin_arguments(size_t slot, Call call) {
  api_ = state().api[slot];
  is_recorded_ = slot >= state().first_plugin;
  number_ = state().next_number++;
  arguments_.put(number_);
  arguments_.put(uint64_t{slot - state().first_plugin});
  arguments_.put(call);
}

// What happens inside the call may end the program: the file must hold it.
void RecordedCall::begin() {
  if (is_recorded_) append(EntryKind::kCall, arguments_.bytes());
  if (state().file != nullptr) std::fflush(state().file);
  lock_.unlock();
}

void RecordedCall::end(const tsr_error& err) {
  lock_.lock();
  if (status_ == TSR_OK) return;
  retry_ = err.retry;
  message_.assign(err.message, strnlen(err.message, sizeof(err.message)));
}

RecordedCall::~RecordedCall() {
  if (!lock_.owns_lock()) lock_.lock();
  if (!is_recorded_) return;
  WireWriter entry;
  entry.put(number_);
  entry.put(int64_t{status_});
  entry.put(retry_);
  entry.put_text(message_);
  entry.put_raw(results_.bytes());
  append(EntryKind::kAnswer, entry.bytes());
}

}  // namespace tessera::recording
