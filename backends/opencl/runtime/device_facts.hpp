// SPDX-License-Identifier: Apache-2.0
//
// What the drivers of this machine say about their devices.

#pragma once

#include <CL/cl.h>

#include <cstdint>
#include <string>
#include <vector>

namespace tessera::opencl {

// One device, read once.
struct DeviceFacts {
  cl_platform_id platform = nullptr;
  cl_device_id device = nullptr;
  std::string name;
  std::string platform_name;
  std::string driver;
  std::string extensions;
  bool is_cpu = false;
  bool has_unified_memory = false;
  bool divides_exactly =
      false;  // correctly rounded / and sqrt can be asked for
  uint64_t memory_bytes = 0;
  uint64_t max_alloc_bytes = 0;
  uint64_t local_bytes = 0;
  uint32_t max_workgroup = 1;
  uint32_t compute_units = 1;
  uint32_t clock_mhz = 0;
  uint32_t vector_width = 1;  // preferred, of f32

  bool has_extension(const std::string& extension) const;
};

// Why there are no devices, or the devices of all platforms in the drivers'
// order.
struct DeviceList {
  std::string reason;
  std::vector<DeviceFacts> devices;
};

// Asks every driver.  A driver that crashes or hangs when it is asked does so
// in a child of this process first; then the list is empty and says so.
DeviceList list_devices();

}  // namespace tessera::opencl
