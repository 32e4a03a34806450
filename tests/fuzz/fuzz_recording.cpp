// SPDX-License-Identifier: Apache-2.0
//
// Hostile recordings of calls, read and replayed on a plugin that does nothing.

#include <cstring>
#include <memory>
#include <type_traits>
#include <vector>

#include "framework/host/recording/replay.hpp"
#include "framework/host/remote/wire.hpp"
#include "tests/fuzz/fuzz_target.hpp"

namespace {

using tessera::promise;
namespace recording = tessera::recording;

// A function that says OK and does nothing.
template <typename Return, typename... Arguments>
void fill(Return (*&function)(Arguments...)) {
  function = [](Arguments...) {
    if constexpr (!std::is_void_v<Return>) return Return{TSR_OK};
  };
}

tsr_api silent_api() {
  tsr_api api{};
  api.struct_size = sizeof(api);
  const auto all = [](auto&... functions) { (fill(functions), ...); };
  all(api.device_open, api.device_close, api.check, api.estimate,
      api.buffer_create, api.buffer_import, api.buffer_export, api.buffer_map,
      api.buffer_flush, api.buffer_invalidate, api.buffer_destroy,
      api.weight_query, api.packing_begin, api.packing_slice, api.packing_end,
      api.weight_create, api.weight_destroy, api.kv_query, api.kv_create,
      api.kv_destroy, api.program_create, api.program_segment,
      api.program_destroy, api.timeline_import, api.timeline_forget,
      api.queue_create, api.queue_submit, api.queue_destroy, api.profile_read,
      api.device_last_error, api.device_ask);
  return api;
}

const tessera::Plugin& silent_plugin() {
  static const auto plugin = [] {
    tessera::PluginParts parts;
    parts.api = silent_api();
    return std::make_unique<tessera::Plugin>(std::move(parts));
  }();
  return *plugin;
}

// One call of each kind, with arguments of zeros, on device 7.
std::string recording_of_all_calls() {
  tessera::WireWriter file;
  uint64_t magic = 0;
  std::memcpy(&magic, recording::kMagic, sizeof(magic));
  file.put(magic);
  file.put(recording::kVersion);
  const auto add = [&](recording::EntryKind kind,
                       const tessera::WireWriter& body) {
    file.put(kind);
    file.put(uint64_t{body.bytes().size()});
    file.put_raw(body.bytes());
  };
  tessera::WireWriter plugin;
  plugin.put(uint64_t{0});
  for (const char* text : {"toy", "1.0", "build", ""}) plugin.put_text(text);
  plugin.put(uint64_t{0x10000});
  plugin.put(uint64_t{0});
  add(recording::EntryKind::kPlugin, plugin);
  for (uint64_t call = 1; call <= recording::kNumCalls; ++call) {
    tessera::WireWriter arguments;
    arguments.put(call);
    arguments.put(uint64_t{0});
    arguments.put(call);
    arguments.put(uint64_t{call == 1 ? 0U : 7U});
    for (int i = 0; i < 24; ++i) arguments.put(uint64_t{i == 2 ? 64U : 0U});
    // Closed last.
    if (call != 2) add(recording::EntryKind::kCall, arguments);
    tessera::WireWriter answer;
    answer.put(call);
    answer.put(int64_t{TSR_OK});
    answer.put(uint64_t{0});
    answer.put_text("");
    answer.put(uint64_t{7});
    if (call != 2) add(recording::EntryKind::kAnswer, answer);
  }
  tessera::WireWriter contents;
  for (const uint64_t value : {1, 7, 0, 1, 0}) contents.put(value);
  contents.put_text("changed!");
  add(recording::EntryKind::kContents, contents);
  tessera::WireWriter end;
  end.put(uint64_t{0});
  add(recording::EntryKind::kEnd, end);
  const auto bytes = file.bytes();
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::vector<uint64_t> words((size + 7) / 8);
  if (size != 0) std::memcpy(words.data(), data, size);
  const auto file =
      recording::read_recording(std::as_bytes(std::span(words)).first(size));
  if (!file.ok()) {
    promise(!file.status().message().empty(), "errors explain");
    return 0;
  }
  for (const recording::Entry& entry : file->entries) {
    promise(entry.kind != recording::EntryKind::kCall ||
                entry.plugin < file->plugins.size(),
            "calls have a plugin");
  }
  recording::ReplayOptions options;
  options.limit_ns = 0;
  const auto result = recording::replay(*file, silent_plugin(), options);
  promise(result.ok() || !result.status().message().empty(), "errors explain");
  return 0;
}

std::vector<std::string> tessera::fuzz_seeds() {
  return {recording_of_all_calls()};
}
