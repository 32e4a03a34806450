// SPDX-License-Identifier: Apache-2.0
//
// The devices of this machine as the host reads them before one is open.

#pragma once

#include <cstdint>
#include <deque>
#include <mutex>
#include <string>
#include <vector>

#include "backends/opencl/runtime/device_facts.hpp"
#include "tessera/plugin.h"

namespace tessera::opencl {

struct DeviceEntry {
  DeviceFacts facts;
  tsr_device_info info{};
  std::vector<tsr_memory_kind> memory_kinds;
};

// Any thread.
class DeviceTable {
 public:
  static DeviceTable& instance();

  // Lists what is here and what is broken, once, and then a device for each
  // that this host's user asked for: "0.1" is part 1 of device 0.
  void connect(const tsr_host_services& host);

  uint32_t size() const;
  const DeviceEntry& at(uint32_t index) const;

 private:
  DeviceTable() = default;
  void list();
  void add(const DeviceFacts& facts);
  void add_part(const std::string& request);

  mutable std::mutex mutex_;
  std::deque<DeviceEntry> entries_;  // infos point into it
};

}  // namespace tessera::opencl
