// SPDX-License-Identifier: Apache-2.0
//
// The Vulkan backend: one device for each that the installed drivers have.

#include "tessera/plugin.hpp"

#include <memory>

#include "backends/vulkan/device.hpp"
#include "backends/vulkan/device_table.hpp"
#include "backends/vulkan/features.hpp"
#include "tessera/rows/kernel_rows.hpp"

namespace {

using tessera::vulkan::DeviceTable;

class VulkanBackend {
 public:
  static const char* name() { return "vulkan"; }
  static const char* version() { return "0.1.0"; }
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
    return std::make_unique<tessera::vulkan::VulkanDevice>(
        host, entry, tessera::vulkan::read_options(*entry.facts, options));
  }
};

}  // namespace

TSR_DEFINE_PLUGIN(VulkanBackend)
