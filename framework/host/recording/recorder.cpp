// SPDX-License-Identifier: Apache-2.0

#include "framework/host/recording/recorder.hpp"

#include <errno.h>
#include <fmt/format.h>
#include <stdlib.h>
#include <string.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>
#include <vector>

#include "framework/base/log.hpp"
#include "framework/host/recording/recorded_call.hpp"
#include "framework/host/recording/recorded_tables.hpp"
#include "framework/host/remote/wire_structs.hpp"
#include "tessera/record.hpp"

namespace tessera::recording {
namespace {

// Opening is the one call that does not name a device: it needs a function for
// each plugin.

void read_kinds(const tsr_api& api, uint32_t index, bool is_isolated,
                DeviceState& device) {
  tsr_device_info info{};
  info.struct_size = sizeof(info);
  ErrorSlot error;
  if (api.device_info(index, &error, &info) != TSR_OK) return;
  const std::vector<tsr_memory_kind> kinds =
      sdk::Elements<tsr_memory_kind>(info.memory_kinds).all();
  std::vector<uint32_t> visible;
  for (uint32_t i = 0; i < kinds.size(); ++i) {
    device.coherent_kinds.push_back((kinds[i].flags & TSR_MEMORY_COHERENT) !=
                                    0);
    device.own_kinds.push_back(i);
    if ((kinds[i].flags & TSR_MEMORY_HOST_VISIBLE) != 0) visible.push_back(i);
  }
  if (!is_isolated || 2 * visible.size() > kinds.size()) return;
  // A child's kinds that can be shared are there once more, at the end.
  std::copy(
      visible.begin(), visible.end(),
      device.own_kinds.end() - static_cast<std::ptrdiff_t>(visible.size()));
}

template <size_t Slot>
tsr_status device_open(uint32_t index, const tsr_array* options, tsr_error* err,
                       tsr_device** out) {
  RecordedCall call(Slot, Call::kDeviceOpen);
  call.arguments().put(uint64_t{index});
  put_options(call.arguments(), options);
  const tsr_status status = call.run(
      [&](tsr_error* e) {
        return call.api().device_open(index, options, e, out);
      },
      err);
  if (status != TSR_OK) return status;
  DeviceState& device = state().devices[*out];
  device = {};
  device.slot = Slot;
  device.ordinal = state().next_ordinal++;
  read_kinds(call.api(), index, state().is_isolated[Slot], device);
  call.results().put(device.ordinal);
  return status;
}

template <size_t... Slots>
constexpr auto open_functions(std::index_sequence<Slots...>) {
  return std::array<decltype(tsr_api::device_open), sizeof...(Slots)>{
      device_open<Slots>...};
}

}  // namespace

Status start(const std::string& file, uint64_t limit_bytes) {
  State& all = state();
  const std::lock_guard<std::mutex> lock(all.mutex);
  if (all.file != nullptr) return {};
  const std::string partial = file + ".partial";
  all.file = std::fopen(partial.c_str(), "wbe");
  if (all.file == nullptr) {
    return {TSR_FAILED_PRECONDITION, partial + ": " + strerror(errno)};
  }
  all.path = file;
  all.limit = limit_bytes;
  all.first_plugin = all.num_plugins;
  all.next_number = 1;
  all.failed = false;
  const uint64_t version = kVersion;
  all.written = sizeof(version) * 2;
  if (std::fwrite(kMagic, 1, sizeof(version), all.file) != sizeof(version) ||
      std::fwrite(&version, sizeof(version), 1, all.file) != 1) {
    all.failed = true;
  }
  return {};
}

Status finish() {
  State& all = state();
  const std::lock_guard<std::mutex> lock(all.mutex);
  close_file(kWhole);
  if (!all.failed) return {};
  return {TSR_FAILED_PRECONDITION, all.path + ": cannot be written"};
}

void start_if_asked() {
  const char* file = secure_getenv("TESSERA_RECORD");
  if (file == nullptr || *file == '\0' || state().was_asked) return;
  state().was_asked = true;
  uint64_t mebibytes = 1024;
  if (const char* text = secure_getenv("TESSERA_RECORD_LIMIT")) {
    const char* end = text + strlen(text);
    const auto read = std::from_chars(text, end, mebibytes);
    if (read.ec != std::errc() || read.ptr != end || mebibytes == 0 ||
        mebibytes > (UINT64_MAX >> 20)) {
      log(TSR_LOG_ERROR, fmt::format("TESSERA_RECORD_LIMIT={}: not a number of "
                                     "MiB",
                                     text));
      return;
    }
  }
  const Status status = start(file, mebibytes << 20);
  if (!status.ok()) log(TSR_LOG_ERROR, "TESSERA_RECORD: " + status.message());
  std::atexit([] {
    const Status ended = finish();
    if (!ended.ok()) log(TSR_LOG_ERROR, "TESSERA_RECORD: " + ended.message());
  });
}

tsr_api recorded(const tsr_api& api, const RecordedPlugin& plugin) {
  static constexpr auto kOpen =
      open_functions(std::make_index_sequence<kMaxPlugins>());
  State& all = state();
  const std::lock_guard<std::mutex> lock(all.mutex);
  if (all.file == nullptr || all.num_plugins == kMaxPlugins) return api;
  const size_t slot = all.num_plugins++;
  all.api[slot] = api;
  all.is_isolated[slot] = plugin.is_isolated;
  WireWriter entry;
  entry.put(uint64_t{slot - all.first_plugin});
  for (const std::string& text :
       {plugin.name, plugin.version, plugin.build_id, plugin.sha256}) {
    entry.put_text(text);
  }
  entry.put(plugin.abi_version);
  entry.put(uint64_t{plugin.requested_devices.size()});
  for (const std::string& device : plugin.requested_devices) {
    entry.put_text(device);
  }
  append(EntryKind::kPlugin, entry.bytes());
  tsr_api result = api;
  result.device_open = kOpen[slot];
  fill_recorded_objects(result);
  fill_recorded_work(result);
  return result;
}

}  // namespace tessera::recording
