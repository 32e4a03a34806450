// SPDX-License-Identifier: Apache-2.0
//
// The OpenCL backend: one device for each that the installed drivers have, and
// for each part of one that the user asked for.

#include "tessera/plugin.hpp"

#include <memory>

#include "backends/opencl/device.hpp"
#include "backends/opencl/device_options.hpp"
#include "backends/opencl/device_table.hpp"
#include "tessera/rows/kernel_rows.hpp"

namespace {

using tessera::opencl::DeviceTable;

class OpenClBackend {
 public:
  static const char* name() { return "opencl"; }
  static const char* version() { return "0.1.0"; }
  static constexpr uint32_t kFlags = TSR_PLUGIN_TAKES_REQUESTS;
  static void connect(const tsr_host_services& host) {
    DeviceTable::instance().connect(host);
  }
  static uint32_t device_count() { return DeviceTable::instance().size(); }
  static tsr_device_info device_info(uint32_t index) {
    return DeviceTable::instance().at(index).info;
  }
  static tsr_array device_kernels(uint32_t /*index*/) {
    return tessera::sdk::rows::kernel_rows();
  }
  static std::unique_ptr<tessera::sdk::Device> open(
      uint32_t index, const tessera::sdk::Options& options,
      const tsr_host_services& host) {
    const auto& entry = DeviceTable::instance().at(index);
    if (entry.info.health != TSR_OK) {
      throw tessera::sdk::Error(static_cast<tsr_status>(entry.info.health),
                                entry.info.reason);
    }
    return std::make_unique<tessera::opencl::OpenClDevice>(
        host, entry, tessera::opencl::read_options(entry.facts, options));
  }
};

}  // namespace

TSR_DEFINE_PLUGIN(OpenClBackend)
