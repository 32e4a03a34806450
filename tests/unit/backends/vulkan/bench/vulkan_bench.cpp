// SPDX-License-Identifier: Apache-2.0
//
// The rows of every device's bench.

#include "tests/unit/backends/device/bench/device_bench.hpp"
#include "tests/unit/backends/vulkan/bench/host_cost.hpp"
#include "tests/unit/backends/vulkan/bench/limits.hpp"

int main(int argc, char** argv) {
  using namespace tessera;
  return device_test::bench_main(
      argc, argv,
      [](const std::shared_ptr<Device>& device, const std::string& part) {
        vulkan::VulkanLimits limits;
        device_test::run_device_bench(device, limits, part);
        vulkan::run_host_cost(device, part);
      });
}
