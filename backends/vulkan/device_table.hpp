// SPDX-License-Identifier: Apache-2.0
//
// The devices of this machine as the host reads them before one is open.

#pragma once

#include <cstdint>
#include <vector>

#include "backends/vulkan/runtime/instance.hpp"
#include "tessera/plugin.h"

namespace tessera::vulkan {

struct DeviceEntry {
  const GpuFacts* facts = nullptr;  // null: there is no device
  tsr_device_info info{};
  std::vector<tsr_memory_kind> memory_kinds;
};

// Made at the first call and then constant.  Any thread.
class DeviceTable {
 public:
  static const DeviceTable& instance();

  uint32_t size() const { return static_cast<uint32_t>(entries_.size()); }
  const DeviceEntry& at(uint32_t index) const { return entries_.at(index); }

 private:
  DeviceTable();

  std::vector<DeviceEntry> entries_;  // never grows: infos point into it
};

}  // namespace tessera::vulkan
