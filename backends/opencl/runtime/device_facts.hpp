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
  bool is_version_3 = false;  // of OpenCL, or later
  bool has_unified_memory = false;
  // Correctly rounded / and sqrt can be asked for.
  bool divides_exactly = false;
  bool has_fine_svm = false;  // shared virtual memory, fine-grained buffers
  uint64_t memory_bytes = 0;
  uint64_t max_alloc_bytes = 0;
  uint64_t local_bytes = 0;
  uint32_t max_workgroup = 1;
  uint32_t compute_units = 1;
  uint32_t clock_mhz = 0;
  uint32_t vector_width = 1;  // preferred, of f32

  bool has_extension(const std::string& extension) const;
};

// Why a driver was left out.
using DriverFault = std::string;

struct DeviceList {
  std::vector<DeviceFacts> devices;  // of all platforms, in the drivers' order
  std::vector<DriverFault> faults;
  std::string reason;  // why there are no devices
};

// Asks every driver.  One that crashes or hangs when it is asked does so in a
// child of this process first, and only its own devices are missing then.
DeviceList list_devices();

// Part `index` of a device: a NUMA domain where it splits so, else one compute
// unit.
//
// Errors  throws NOT_FOUND, saying how many parts there are
DeviceFacts part_of(const DeviceFacts& device, uint32_t index);

}  // namespace tessera::opencl
