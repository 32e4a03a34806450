// SPDX-License-Identifier: Apache-2.0
//
// What the host sees first: names, devices and what they can run, all readable
// before a device is opened.

#include <cstdio>
#include <memory>

#include "device.hpp"
#include "kernels/table.hpp"

namespace {

class TemplateBackend {
 public:
  static constexpr uint32_t kFlags = TSR_PLUGIN_UNLOADABLE;
  static const char* name() { return "template"; }
  static const char* version() { return "0.1.0"; }
  static uint32_t device_count() { return 1; }
  static tsr_device_info device_info(uint32_t index);
  static tsr_array device_kernels(uint32_t) { return my::kernel_table(); }
  static std::unique_ptr<tessera::sdk::Device> open(
      uint32_t index, const tessera::sdk::Options& options,
      const tsr_host_services& host);
};

tsr_memory_kind host_memory() {
  tsr_memory_kind kind{};
  kind.struct_size = sizeof(kind);
  kind.flags = TSR_MEMORY_DEVICE | TSR_MEMORY_HOST_VISIBLE |
               TSR_MEMORY_COHERENT | TSR_MEMORY_IMPORT_HOST;
  kind.alignment = tessera::sdk::HostMemoryDevice::kAlignment;
  kind.handles = TSR_HANDLE_HOST_POINTER;
  kind.max_alloc_bytes = UINT64_MAX;
  return kind;
}

tsr_device_info TemplateBackend::device_info(uint32_t) {
  static const tsr_memory_kind memory = host_memory();
  tsr_device_info info{};
  info.struct_size = sizeof(info);
  info.flags = TSR_DEVICE_SUBMIT_BLOCKS;
  info.health = TSR_OK;
  info.clock = TSR_CLOCK_WALL;
  std::snprintf(info.name, sizeof(info.name), "template device");
  std::snprintf(info.driver, sizeof(info.driver), "none");
  info.numa_node = -1;
  info.max_queues = 1;
  info.memory_kinds = {&memory, 1, sizeof(memory)};
  return info;
}

std::unique_ptr<tessera::sdk::Device> TemplateBackend::open(
    uint32_t, const tessera::sdk::Options& options,
    const tsr_host_services& host) {
  if (!options.empty()) {
    throw tessera::sdk::Error(TSR_INVALID_ARGUMENT,
                              "template: no option " + options.front().first);
  }
  return std::make_unique<my::TemplateDevice>(host);
}

}  // namespace

TSR_DEFINE_PLUGIN(TemplateBackend)
