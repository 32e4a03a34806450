// SPDX-License-Identifier: Apache-2.0
//
// One call of a plugin's table under TESSERA_VALIDATE=1: what the host had made
// on the device before it, and whether host and plugin keep the rules.

#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>

#include "framework/host/device/plugin_error.hpp"
#include "tessera/plugin.h"

namespace tessera::validation {

inline constexpr size_t kMaxPlugins = 32;

enum Kind { kBuffer, kWeight, kPool, kProgram, kTimeline, kNumKinds };

// What a program's own function said of it.
struct ProgramShape {
  uint32_t num_ops = 0;
  uint32_t num_segments = 0;
};

// A weight that is being packed.
struct PackingState {
  tsr_device* device = nullptr;
  uint64_t weight = 0;
  uint64_t N = 0;
  uint64_t packed_rows = 0;
};

// What the host has made on one device.
struct DeviceState {
  size_t slot = 0;  // of the plugin
  std::array<std::set<uint64_t>, kNumKinds> alive;
  std::unordered_map<uint64_t, uint64_t> buffer_bytes;
  std::unordered_map<uint64_t, ProgramShape> programs;
  uint32_t num_queues = 0;
  uint32_t num_packings = 0;
};

struct State {
  std::mutex mutex;
  std::array<tsr_api, kMaxPlugins> api{};
  std::array<std::string, kMaxPlugins> names;
  // What each said when it was asked first.
  std::array<std::optional<uint32_t>, kMaxPlugins> num_devices{};
  size_t num_plugins = 0;
  std::map<tsr_device*, DeviceState> devices;
  std::map<tsr_queue*, tsr_device*> queues;
  std::map<tsr_packing*, PackingState> packings;
  std::set<std::string> told;
  uint64_t num_violations = 0;
};

// Never destroyed: plugins outlive the exit handlers.
State& state();

// Counts a broken rule, and logs it the first time.
//
// Requires  state().mutex is held
void violation(size_t slot, const char* who, const char* call,
               const std::string& what);

// Holds state().mutex while it lives, but for the plugin's own function.
class CheckedCall {
 public:
  CheckedCall(tsr_device* device, const char* name);

  DeviceState& here() { return here_ == nullptr ? nothing_ : *here_; }
  const tsr_api& api() { return state().api[here().slot]; }

  void host(const std::string& what);
  void plugin(const std::string& what);

  // The id of something new, of something that must be there, of something
  // that a call made or destroys.
  void creates(Kind kind, uint64_t id);
  void needs(Kind kind, uint64_t id);
  void made(Kind kind, uint64_t id, tsr_status status);
  void gone(Kind kind, uint64_t id);
  // A part of a buffer.
  void needs_bytes(uint64_t buffer, uint64_t offset, uint64_t bytes);

  // Runs function(error) without the lock, then looks at its answer.
  template <typename Function>
  tsr_status run(const Function& function, tsr_error* err) {
    ErrorSlot own;
    tsr_error* used = err == nullptr ? &own : err;
    const uint32_t size = used->struct_size;
    lock_.unlock();
    const tsr_status status = function(used);
    lock_.lock();
    check_status(status, *used, size);
    return status;
  }
  // Runs a function that destroys an object, the last thing a call does.
  void destroys(Kind kind, uint64_t id, tsr_device* device,
                void (*function)(tsr_device*, uint64_t));
  // For other functions that return nothing: the last thing a call does.
  void unlock() { lock_.unlock(); }

 private:
  void check_status(tsr_status status, const tsr_error& err, uint32_t size);

  const char* name_;
  std::unique_lock<std::mutex> lock_;
  DeviceState* here_ = nullptr;
  DeviceState nothing_;  // of a device that is not open
};

}  // namespace tessera::validation
