// SPDX-License-Identifier: Apache-2.0
//
// A plugin without faults, made of the template's device, for faulty ones to
// spoil in one place.

#pragma once

#include <cstdio>
#include <memory>

#include "device.hpp"
#include "kernels/table.hpp"

namespace faulty {

inline tsr_memory_kind host_memory() {
  tsr_memory_kind kind{};
  kind.struct_size = sizeof(kind);
  kind.flags = TSR_MEMORY_DEVICE | TSR_MEMORY_HOST_VISIBLE |
               TSR_MEMORY_COHERENT | TSR_MEMORY_IMPORT_HOST;
  kind.alignment = tessera::sdk::HostMemoryDevice::kAlignment;
  kind.handles = TSR_HANDLE_HOST_POINTER;
  kind.max_alloc_bytes = UINT64_MAX;
  return kind;
}

class SoundBackend {
 public:
  static const char* name() { return FAULTY_NAME; }
  static const char* version() { return "1.0.0"; }
  static uint32_t device_count() { return 1; }
  static tsr_device_info device_info(uint32_t) {
    static const tsr_memory_kind memory = host_memory();
    tsr_device_info info{};
    info.struct_size = sizeof(info);
    info.flags = TSR_DEVICE_SUBMIT_BLOCKS;
    info.clock = TSR_CLOCK_WALL;
    std::snprintf(info.name, sizeof(info.name), "faulty device");
    std::snprintf(info.driver, sizeof(info.driver), "none");
    info.numa_node = -1;
    info.max_queues = 1;
    info.memory_kinds = {&memory, 1, sizeof(memory)};
    return info;
  }
  static tsr_array device_kernels(uint32_t) { return my::kernel_table(); }
  static std::unique_ptr<tessera::sdk::Device> open(
      uint32_t, const tessera::sdk::Options& options,
      const tsr_host_services& host) {
    refuse_all(options);
    return std::make_unique<my::TemplateDevice>(host);
  }

 protected:
  static void refuse_all(const tessera::sdk::Options& options) {
    if (options.empty()) return;
    throw tessera::sdk::Error(TSR_INVALID_ARGUMENT,
                              "no option " + options.front().first);
  }
};

// The sound header, to be copied and spoiled.
inline tsr_plugin_header sound_header() {
  return *tessera::sdk::detail::plugin_header<SoundBackend>();
}

// A device whose queues submit as Queue does.
template <typename Queue>
class DeviceWith final : public my::TemplateDevice {
 public:
  using TemplateDevice::TemplateDevice;
  std::unique_ptr<tessera::sdk::Queue> queue_create() override {
    return std::make_unique<Queue>(*this);
  }
};

template <typename Queue>
class BackendWith : public SoundBackend {
 public:
  static std::unique_ptr<tessera::sdk::Device> open(
      uint32_t, const tessera::sdk::Options& options,
      const tsr_host_services& host) {
    SoundBackend::refuse_all(options);
    return std::make_unique<DeviceWith<Queue>>(host);
  }
};

// Spoils the header: `spoil` changes a copy of the sound one once.
template <typename Spoil>
const tsr_plugin_header* spoiled_header(Spoil&& spoil) {
  static const tsr_plugin_header header = [&] {
    tsr_plugin_header copy = sound_header();
    spoil(copy);
    return copy;
  }();
  return &header;
}

// Spoils the table: `Spoil::spoil(tsr_api&)` changes a copy of the sound one.
template <typename Spoil>
const tsr_plugin_header* header_with_table() {
  return spoiled_header([](tsr_plugin_header& header) {
    header.get_api = [](uint32_t version, const tsr_host_services* host,
                        tsr_error* err, const tsr_api** out_api) {
      static tsr_api table;
      const tsr_api* sound = nullptr;
      const tsr_status status =
          sound_header().get_api(version, host, err, &sound);
      if (status != TSR_OK) return status;
      table = *sound;
      Spoil::spoil(table);
      *out_api = &table;
      return tsr_status{TSR_OK};
    };
  });
}

}  // namespace faulty

#define FAULTY_QUERY \
  extern "C" TSR_EXPORT const tsr_plugin_header* tsr_plugin_query_v1()
