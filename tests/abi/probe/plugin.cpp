// SPDX-License-Identifier: Apache-2.0
//
// The plugin that the ABI tests drive: small, but every function of the table
// does something.  Built with the headers of this version and with those of the
// next one.

#include <cstdio>
#include <memory>

#include "tests/abi/probe/device.hpp"

namespace {

using tessera::probe::ProbeDevice;

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

tsr_option trace_option() {
  tsr_option option{};
  option.struct_size = sizeof(option);
  option.type = TSR_OPTION_BOOLEAN;
  option.key = "trace";
  option.default_value = "0";
  option.help = "log every submission";
  return option;
}

class ProbeBackend {
 public:
  static const char* name() { return PROBE_NAME; }
  static const char* version() { return "1.0.0"; }
  static uint32_t device_count() { return 1; }

  static tsr_device_info device_info(uint32_t) {
    static const tsr_memory_kind memory = host_memory();
    static const tsr_option option = trace_option();
    tsr_device_info info{};
    info.struct_size = sizeof(info);
    info.flags = TSR_DEVICE_SUBMIT_BLOCKS;
    info.clock = TSR_CLOCK_WALL;
    std::snprintf(info.name, sizeof(info.name), "probe device");
    info.numa_node = -1;
    info.max_queues = 1;
    info.memory_kinds = {&memory, 1, sizeof(memory)};
    info.options = {&option, 1, sizeof(option)};
#if TSR_ABI_MINOR >= 1
    info.next_minor = tessera::probe::kNextMinor;
#endif
    return info;
  }

  static tsr_array device_kernels(uint32_t) {
    return tessera::probe::kernel_table();
  }

  static std::unique_ptr<tessera::sdk::Device> open(
      uint32_t, const tessera::sdk::Options& options,
      const tsr_host_services& host) {
    for (const auto& [key, value] : options) {
      if (key != "trace" || (value != "0" && value != "1")) {
        throw tessera::sdk::Error(TSR_INVALID_ARGUMENT,
                                  "probe: no option " + key + "=" + value);
      }
    }
    return std::make_unique<ProbeDevice>(host);
  }
};

}  // namespace

TSR_DEFINE_PLUGIN(ProbeBackend)
