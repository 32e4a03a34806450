// SPDX-License-Identifier: Apache-2.0
//
// The cpu backend: one device, the host's cores.  This folder knows the plugin
// ABI; kernels/ knows only pointers and shapes.

#include "tessera/plugin.hpp"

#include <memory>
#include <string>

#include "backends/cpu/capabilities.hpp"
#include "backends/cpu/device.hpp"

namespace {

class CpuBackend {
 public:
  static const char* name() { return "cpu"; }
  static const char* version() { return "0.1.0"; }
  static uint32_t device_count() { return 1; }
  static tsr_device_info device_info(uint32_t /*index*/) {
    return tessera::cpu::describe_device();
  }
  static tsr_array device_kernels(uint32_t /*index*/) {
    return tessera::cpu::kernel_rows();
  }
  static std::unique_ptr<tessera::sdk::Device> open(
      uint32_t /*index*/, const tessera::sdk::Options& options,
      const tsr_host_services& host) {
    return std::make_unique<tessera::cpu::CpuDevice>(
        host, tessera::cpu::read_options(options));
  }
};

}  // namespace

TSR_DEFINE_PLUGIN(CpuBackend)
