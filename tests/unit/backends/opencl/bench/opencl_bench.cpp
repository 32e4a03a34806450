// SPDX-License-Identifier: Apache-2.0
//
// The rows of every device's bench, and CLBlast's beside ours.

#include "tests/unit/backends/device/bench/device_bench.hpp"
#include "tests/unit/backends/opencl/bench/clblast_rival.hpp"
#include "tests/unit/backends/opencl/bench/limits.hpp"

int main(int argc, char** argv) {
  using namespace tessera;
  return device_test::bench_main(
      argc, argv,
      [](const std::shared_ptr<Device>& device, const std::string& part) {
        opencl::OpenClLimits limits;
        device_test::run_device_bench(device, limits, part);
        device_test::run_clblast_rivals(device, part);
      });
}
