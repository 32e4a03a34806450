// SPDX-License-Identifier: Apache-2.0
//
// The npu_sim backend: one device for each profile, and for each profile file
// that the user asked for.

#include "tessera/plugin.hpp"

#include <memory>

#include "backends/npu_sim/device/device.hpp"
#include "backends/npu_sim/device/device_table.hpp"

namespace {

using tessera::npu::DeviceTable;

class NpuSimBackend {
 public:
  static const char* name() { return "npu_sim"; }
  static const char* version() { return "0.1.0"; }
  static constexpr uint32_t kFlags = TSR_PLUGIN_TAKES_REQUESTS;
  static void connect(const tsr_host_services& host) {
    DeviceTable::instance().connect(host);
  }
  static uint32_t device_count() { return DeviceTable::instance().size(); }
  static tsr_device_info device_info(uint32_t index) {
    return DeviceTable::instance().at(index).info;
  }
  static tsr_array device_kernels(uint32_t index) {
    return DeviceTable::instance().at(index).rows.array();
  }
  static std::unique_ptr<tessera::sdk::Device> open(
      uint32_t index, const tessera::sdk::Options& options,
      const tsr_host_services& host) {
    const auto& entry = DeviceTable::instance().at(index);
    return std::make_unique<tessera::npu::NpuDevice>(
        host, entry, tessera::npu::read_options(entry, options));
  }
};

}  // namespace

TSR_DEFINE_PLUGIN(NpuSimBackend)
