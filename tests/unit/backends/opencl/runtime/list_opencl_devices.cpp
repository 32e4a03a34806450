// SPDX-License-Identifier: Apache-2.0
//
// Prints the devices and the broken drivers of this process: a loader reads its
// drivers once, so a test of other drivers needs another process.

#include <cstdio>

#include "backends/opencl/runtime/device_facts.hpp"

int main() {
  const auto list = tessera::opencl::list_devices();
  for (const auto& device : list.devices) {
    std::printf("device %s\n", device.name.c_str());
  }
  for (const auto& fault : list.faults) std::printf("%s\n", fault.c_str());
  if (!list.reason.empty()) std::printf("reason %s\n", list.reason.c_str());
  return 0;
}
