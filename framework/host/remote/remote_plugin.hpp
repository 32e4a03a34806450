// SPDX-License-Identifier: Apache-2.0
//
// A tsr_api whose plugin lives in a child process.

#pragma once

#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "framework/base/status.hpp"
#include "framework/host/loading/plugin_library.hpp"
#include "framework/host/remote/child_process.hpp"
#include "framework/host/remote/wire_structs.hpp"

namespace tessera {

// What a memory kind, as the host sees it, is in the child.
struct RemoteMemoryKind {
  uint32_t child_kind = 0;
  bool shared = false;  // its buffers lie in shared memory
};

// A loaded child, and what it said about its devices.
struct RemotePlugin {
  std::shared_ptr<ChildProcess> child;
  std::deque<WireFacts> devices;  // as the host may use them
  std::vector<std::vector<RemoteMemoryKind>> memory_kinds;  // per device
};

// What a tsr_device* of the table points at.
struct RemoteDevice {
  std::shared_ptr<RemotePlugin> plugin;
  uint32_t index = 0;
  uint64_t handle = 0;  // the child's
  std::mutex mutex;
  std::unordered_map<uint64_t, SharedMemory> buffers;
  std::unordered_map<uint64_t, tsr_timeline*> timelines;

  ChildProcess& child() const { return *plugin->child; }
  const std::vector<RemoteMemoryKind>& memory_kinds() const {
    return plugin->memory_kinds[index];
  }
  // The kind for what only the child touches and asked to have in `child_kind`.
  uint32_t private_kind(uint32_t child_kind) const;
};

// What a tsr_queue* or tsr_packing* points at.
struct RemoteObject {
  RemoteDevice* device = nullptr;
  uint64_t handle = 0;
};

inline RemoteDevice& remote_device(tsr_device* device) {
  return *reinterpret_cast<RemoteDevice*>(device);
}

// A call whose first argument is `handle`, which lives on `device`.
RemoteCall remote_call(const RemoteDevice& device, CallId id, uint64_t handle);
// One whose first argument is the device itself.
inline RemoteCall remote_call(const RemoteDevice& device, CallId id) {
  return remote_call(device, id, device.handle);
}

// Fill the parts of a table; those that name a device by its index are
// device_table's.
void fill_remote_device(tsr_api& api);
void fill_remote_buffers(tsr_api& api);
void fill_remote_weights(tsr_api& api);
void fill_remote_programs(tsr_api& api);

// Lends the table's index functions, which know no plugin, to `plugin` for as
// long as the result lives.
// Errors: RESOURCE_EXHAUSTED if too many plugins are isolated.
Result<std::shared_ptr<void>> fill_remote_discovery(
    std::shared_ptr<RemotePlugin> plugin, tsr_api& api);

// Starts a child, which loads the manifest's library; see Plugin::load.
Result<PluginParts> load_remote(const std::string& manifest_path,
                                const HostOptions& options);

}  // namespace tessera
