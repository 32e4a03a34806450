// SPDX-License-Identifier: Apache-2.0
//
// A plugin whose fault the environment chooses; without TSR_MUTANT it has none.

#include <cstdio>
#include <memory>

#include "device.hpp"
#include "records.hpp"

namespace {

using mutant::has;

tsr_memory_kind host_memory() {
  tsr_memory_kind kind{};
  kind.struct_size = sizeof(kind);
  kind.flags = TSR_MEMORY_DEVICE | TSR_MEMORY_HOST_VISIBLE |
               TSR_MEMORY_COHERENT | TSR_MEMORY_IMPORT_HOST;
  if (has("memory_not_visible")) kind.flags = TSR_MEMORY_COHERENT;
  kind.alignment = has("odd_alignment") ? 48 : 64;
  kind.handles = tessera::sdk::SharedMemoryDevice::kHandles;
  kind.max_alloc_bytes = UINT64_MAX;
  return kind;
}

class MutantBackend {
 public:
  static constexpr uint32_t kFlags = TSR_PLUGIN_UNLOADABLE;
  static const char* name() { return "mutant"; }
  static const char* version() { return has("no_version") ? "" : "1.0.0"; }
  static uint32_t device_count() {
    static uint32_t calls = 0;
    if (has("devices_come_and_go")) return ++calls % 2 + 1;
    return has("two_devices_of_a_name") ? 2 : 1;
  }
  static tsr_device_info device_info(uint32_t) {
    static const tsr_memory_kind memory = host_memory();
    tsr_device_info info{};
    info.struct_size = sizeof(info);
    info.flags = TSR_DEVICE_SUBMIT_BLOCKS;
    info.clock = has("clock_of_neither_kind") ? 9U : uint32_t{TSR_CLOCK_WALL};
    if (!has("device_without_a_name")) {
      std::snprintf(info.name, sizeof(info.name), "mutant device");
    }
    if (has("two_devices_of_a_name")) {
      std::snprintf(info.profile, sizeof(info.profile), "same");
    }
    std::snprintf(info.driver, sizeof(info.driver), "none");
    info.numa_node = -1;
    info.max_queues = has("no_queues") ? 0 : 4;
    info.memory_kinds = {&memory, 1, sizeof(memory)};
    return info;
  }
  static tsr_array device_kernels(uint32_t) { return mutant::kernel_rows(); }
  static std::unique_ptr<tessera::sdk::Device> open(
      uint32_t, const tessera::sdk::Options& options,
      const tsr_host_services& host) {
    if (!options.empty() && !has("takes_any_option")) {
      throw tessera::sdk::Error(TSR_INVALID_ARGUMENT,
                                "mutant: no option " + options.front().first);
    }
    return std::make_unique<mutant::MutantDevice>(host);
  }
};

// Functions of the table that are wrong in themselves.
void spoil_discovery(tsr_api& api) {
  if (has("device_index_unchecked")) {
    api.device_info = [](uint32_t, tsr_error*, tsr_device_info* out) {
      tessera::sdk::detail::copy_out(MutantBackend::device_info(0), out);
      return tsr_status{TSR_OK};
    };
  }
  if (has("fails_without_a_message")) {
    static const auto sound = api.device_open;
    api.device_open = [](uint32_t index, const tsr_array* options, tsr_error*,
                         tsr_device** out) {
      return sound(index, options, nullptr, out);
    };
  }
  if (has("writes_a_whole_error")) {
    static const auto sound = api.device_open;
    api.device_open = [](uint32_t index, const tsr_array* options,
                         tsr_error* err, tsr_device** out) {
      if (err != nullptr) err->message[sizeof(err->message) - 1] = 0;
      return sound(index, options, err, out);
    };
  }
  if (has("error_must_be_there")) {
    static const auto sound = api.device_open;
    api.device_open = [](uint32_t index, const tsr_array* options,
                         tsr_error* err, tsr_device** out) {
      err->retry = 0;
      return sound(index, options, err, out);
    };
  }
}

void spoil_structs(tsr_api& api) {
  if (has("new_structs_refused")) {
    static const auto sound = api.buffer_create;
    api.buffer_create = [](tsr_device* device, const tsr_buffer_desc* desc,
                           tsr_error* err) {
      if (desc->struct_size != sizeof(*desc)) {
        return tsr_status{TSR_INVALID_ARGUMENT};
      }
      return sound(device, desc, err);
    };
  }
  if (has("reads_past_struct_size")) {
    static const auto sound = api.buffer_create;
    api.buffer_create = [](tsr_device* device, const tsr_buffer_desc* desc,
                           tsr_error* err) {
      tsr_buffer_desc whole = *desc;
      whole.struct_size = sizeof(whole);
      return sound(device, &whole, err);
    };
  }
  if (has("extensions_unread")) {
    static const auto sound = api.buffer_create;
    api.buffer_create = [](tsr_device* device, const tsr_buffer_desc* desc,
                           tsr_error* err) {
      tsr_buffer_desc bare{};
      std::memcpy(&bare, desc, offsetof(tsr_buffer_desc, next));
      bare.struct_size = sizeof(bare);
      return sound(device, &bare, err);
    };
  }
  if (has("extensions_refused")) {
    static const auto sound = api.buffer_create;
    api.buffer_create = [](tsr_device* device, const tsr_buffer_desc* desc,
                           tsr_error* err) {
      const bool has_next =
          desc->struct_size >= sizeof(*desc) && desc->next != nullptr;
      return has_next ? tsr_status{TSR_UNIMPLEMENTED}
                      : sound(device, desc, err);
    };
  }
}

// The C library keeps a library whose thread-local destructors are to run.
void stay_loaded() {
  struct Closer {
    ~Closer() { called = true; }
    bool called = false;
  };
  thread_local Closer closer;
  closer.called = false;
}

}  // namespace

extern "C" TSR_EXPORT const tsr_plugin_header* tsr_plugin_query_v1() {
  if (has("query_crashes")) std::abort();
  static const tsr_plugin_header header = [] {
    tsr_plugin_header copy =
        *tessera::sdk::detail::plugin_header<MutantBackend>();
    copy.get_api = [](uint32_t version, const tsr_host_services* host,
                      tsr_error* err, const tsr_api** out_api) {
      static tsr_api table;
      const tsr_api* sound = nullptr;
      const tsr_status status =
          tessera::sdk::detail::plugin_header<MutantBackend>()->get_api(
              version, host, err, &sound);
      if (status != TSR_OK) return status;
      table = *sound;
      spoil_discovery(table);
      spoil_structs(table);
      mutant::spoil_records(table);
      if (has("stays_loaded")) stay_loaded();
      *out_api = &table;
      return tsr_status{TSR_OK};
    };
    return copy;
  }();
  return &header;
}
