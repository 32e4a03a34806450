// SPDX-License-Identifier: Apache-2.0
//
// One call of a plugin's table on its way into the recording, and what the
// recording knows of devices.

#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <map>
#include <mutex>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "framework/host/device/plugin_error.hpp"
#include "framework/host/recording/recording_format.hpp"
#include "framework/host/remote/wire.hpp"
#include "tessera/plugin.h"

namespace tessera::recording {

inline constexpr size_t kMaxPlugins = 32;

// Memory of a buffer that the host can see.
struct VisibleBuffer {
  std::byte* memory = nullptr;
  bool coherent = true;
  std::vector<std::byte> known;  // what the recording says it holds
};

struct RecordedBuffer {
  uint64_t bytes = 0;
  bool coherent = true;
};

struct DeviceState {
  size_t slot = 0;       // of the plugin
  uint64_t ordinal = 0;  // its name in the file
  std::vector<bool> coherent_kinds;
  // The plugin's own number of each memory kind.
  std::vector<uint32_t> own_kinds;
  std::map<uint64_t, RecordedBuffer> buffers;
  std::map<uint64_t, VisibleBuffer> visible;
  std::map<uint64_t, tsr_timeline*> timelines;
};

// An object of a device, by its address.
struct ObjectState {
  tsr_device* device = nullptr;
  uint64_t ordinal = 0;
};

struct State {
  std::mutex mutex;
  std::mutex submission;  // held before `mutex`: one submission at a time
  FILE* file = nullptr;   // null: nothing is recorded, or no more
  std::string path;
  uint64_t limit = 0;
  uint64_t written = 0;
  bool failed = false;  // not everything was written
  uint64_t next_number = 1;
  uint64_t next_ordinal = 1;
  bool was_asked = false;  // the environment, once
  size_t num_plugins = 0;
  // Plugins that were there before this recording have no part in it.
  size_t first_plugin = 0;
  std::array<tsr_api, kMaxPlugins> api{};
  std::array<bool, kMaxPlugins> is_isolated{};
  std::map<tsr_device*, DeviceState> devices;
  std::map<tsr_queue*, ObjectState> queues;
  std::map<tsr_packing*, ObjectState> packings;
};

// Never destroyed: plugins outlive the exit handlers.
State& state();

// Appends an entry.
//
// Requires  state().mutex is held
void append(EntryKind kind, std::span<const std::byte> body);

// Ends the file with `reason`, and gives it its name.
//
// Requires  state().mutex is held
void close_file(EndReason reason);

// Appends what changed in the visible buffers of `device` since the recording
// knew them: for the call `number`, before or after it.
//
// Requires  state().mutex is held
void append_contents(DeviceState& device, uint64_t number, ContentsTime when);

// Holds state().mutex while it lives, but for the plugin's own function.
class RecordedCall {
 public:
  RecordedCall(size_t slot, Call call);
  RecordedCall(tsr_device* device, Call call);
  // Writes the answer.
  ~RecordedCall();
  RecordedCall(const RecordedCall&) = delete;
  RecordedCall& operator=(const RecordedCall&) = delete;

  uint64_t number() const { return number_; }
  // Of the call's device.
  DeviceState& device() { return *device_; }
  const tsr_api& api() const { return api_; }
  WireWriter& arguments() { return arguments_; }
  // Of a call that succeeded; what it answers besides its status.
  WireWriter& results() { return results_; }

  // Writes the call, then runs function(error) without the lock.
  template <typename Function>
  tsr_status run(const Function& function, tsr_error* err) {
    tsr_error* used = err == nullptr ? &own_ : err;
    begin();
    status_ = function(used);
    end(*used);
    return status_;
  }

 private:
  void begin_arguments(size_t slot, Call call);
  void begin();
  void end(const tsr_error& err);

  std::unique_lock<std::mutex> lock_;
  uint64_t number_ = 0;
  bool is_recorded_ = false;
  DeviceState* device_ = nullptr;
  tsr_api api_{};
  WireWriter arguments_;
  WireWriter results_;
  ErrorSlot own_;
  tsr_status status_ = TSR_OK;
  uint64_t retry_ = 0;
  std::string message_;
};

}  // namespace tessera::recording
