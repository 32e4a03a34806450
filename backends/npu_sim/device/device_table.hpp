// SPDX-License-Identifier: Apache-2.0
//
// What the plugin's devices are, without opening one.

#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "backends/npu_sim/device/capabilities.hpp"
#include "backends/npu_sim/profile/profile.hpp"
#include "tessera/plugin.hpp"

namespace tessera::npu {

// One device.  `profile` is null if it could not be read; the info's health
// and reason say why.
struct DeviceEntry {
  std::shared_ptr<const Profile> profile;
  tsr_device_info info{};
  std::vector<tsr_memory_kind> memory_kinds;
  KernelRows rows;
};

// Constant once connected.  Any thread.
class DeviceTable {
 public:
  static DeviceTable& instance();

  // Adds the shipped profiles, then one device for each string that the user
  // asked for (tsr_requested_devices), in order.
  void connect(const tsr_host_services& host);

  uint32_t size() const { return static_cast<uint32_t>(entries_.size()); }
  const DeviceEntry& at(uint32_t index) const { return entries_.at(index); }

 private:
  void add(const std::string& name_or_path);

  std::deque<DeviceEntry> entries_;  // what info points at never moves
};

// The options that every device takes.
tsr_array device_options();

}  // namespace tessera::npu
