// SPDX-License-Identifier: Apache-2.0
//
// Level 0: what plugin.h says of structs, extensions and names, whatever the
// device computes.

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <set>

#include "framework/conformance/kit/cases.hpp"
#include "framework/conformance/kit/contract/out_struct.hpp"
#include "framework/host/device/plugin_error.hpp"
#include "framework/host/loading/elf_file.hpp"
#include "framework/host/loading/named_library.hpp"

namespace tessera::conformance {
namespace {

Status wrong(const std::string& message) { return {TSR_INTERNAL, message}; }

bool ends(const char* text, size_t capacity) {
  return std::memchr(text, 0, capacity) != nullptr;
}

Status check_header(CaseContext& context) {
  const Plugin& plugin = *context.plugin();
  if (plugin.name().empty()) return wrong("no name");
  if (plugin.version().empty()) return wrong("no version");
  if (plugin.build_id().empty()) return wrong("no build_id");
  return {};
}

Status check_symbols(CaseContext& context) {
  TSR_ASSIGN_OR_RETURN(const std::vector<std::string> symbols,
                       exported_symbols(context.plugin()->path()));
  for (const std::string& symbol : symbols) {
    if (symbol == "tsr_plugin_query_v1") continue;
    return wrong("exports " + symbol + " besides tsr_plugin_query_v1");
  }
  if (symbols.empty()) return wrong("exports nothing");
  return {};
}

Status check_info(const tsr_device_info& info) {
  const bool terminated = ends(info.name, sizeof(info.name)) &&
                          ends(info.profile, sizeof(info.profile)) &&
                          ends(info.driver, sizeof(info.driver)) &&
                          ends(info.reason, sizeof(info.reason));
  if (!terminated) return wrong("a string of the device has no end");
  if (info.name[0] == '\0') return wrong("the device has no name");
  if (info.clock != TSR_CLOCK_WALL && info.clock != TSR_CLOCK_SIMULATED) {
    return wrong(fmt::format("clock {}", info.clock));
  }
  if (info.max_queues == 0) return wrong("max_queues is 0");
  if (info.memory_kinds.count == 0) return wrong("no memory kind");
  return {};
}

Status check_devices(CaseContext& context) {
  const tsr_api& api = context.plugin()->api();
  ErrorSlot error;
  uint32_t count = 0;
  uint32_t again = 0;
  if (api.device_count(&error, &count) != TSR_OK ||
      api.device_count(&error, &again) != TSR_OK || count != again) {
    return wrong(fmt::format("device_count {} became {}", count, again));
  }
  std::set<std::string> names;
  TSR_ASSIGN_OR_RETURN(const std::vector<DeviceFacts> devices,
                       read_devices(api, context.plugin()->name()));
  for (const DeviceFacts& device : devices) {
    if (!names.insert(device.name).second) {
      return wrong("two devices are called " + device.name);
    }
  }
  std::set<std::string> profiles;
  for (uint32_t i = 0; i < count; ++i) {
    tsr_device_info info{};
    info.struct_size = sizeof(info);
    if (api.device_info(i, &error, &info) != TSR_OK) {
      return wrong(fmt::format("device_info({}) fails", i));
    }
    TSR_RETURN_IF_ERROR(check_info(info));
    if (info.profile[0] == '\0') continue;
    if (!profiles.insert(info.profile).second) {
      return wrong(std::string("two devices have the profile ") + info.profile);
    }
  }
  tsr_device_info info{};
  info.struct_size = sizeof(info);
  if (api.device_info(count, &error, &info) == TSR_OK) {
    return wrong(
        fmt::format("device_info({}) of {} devices is OK", count, count));
  }
  return {};
}

Status check_memory_kinds(CaseContext& context) {
  TSR_ASSIGN_OR_RETURN(const std::shared_ptr<Device> device, context.device());
  for (const tsr_memory_kind& kind : device->memory_kinds()) {
    const uint32_t alignment = kind.alignment;
    if (alignment == 0 || (alignment & (alignment - 1)) != 0) {
      return wrong(fmt::format("memory alignment {}", alignment));
    }
    if ((kind.flags & TSR_MEMORY_COHERENT) != 0 &&
        (kind.flags & TSR_MEMORY_HOST_VISIBLE) == 0) {
      return wrong("coherent memory that the host does not see");
    }
  }
  return device->memory_kind_with(TSR_MEMORY_HOST_VISIBLE).status();
}

// A range must admit something.
Status check_range(const tsr_kernel_desc& row, const char* name,
                   const tsr_range& range) {
  if (range.max == 0 || range.min <= range.max) return {};
  return wrong(
      fmt::format("{}: {} is {} .. {}", row.name, name, range.min, range.max));
}

Status check_rows(CaseContext& context) {
  TSR_ASSIGN_OR_RETURN(const std::shared_ptr<Device> device, context.device());
  std::set<std::string> names;
  for (const tsr_kernel_desc& row : device->kernels()) {
    if (row.name == nullptr || row.name[0] == '\0') {
      return wrong("a kernel row without a name");
    }
    if (!names.insert(row.name).second) {
      return wrong(fmt::format("two kernel rows are called {}", row.name));
    }
    if (row.phases == 0 || (row.phases & ~3U) != 0) {
      return wrong(fmt::format("{}: phases {:#x}", row.name, row.phases));
    }
    TSR_RETURN_IF_ERROR(check_range(row, "M", row.M));
    TSR_RETURN_IF_ERROR(check_range(row, "N", row.N));
    TSR_RETURN_IF_ERROR(check_range(row, "K", row.K));
    TSR_RETURN_IF_ERROR(check_range(row, "head_dim", row.head_dim));
    TSR_RETURN_IF_ERROR(check_range(row, "gqa_ratio", row.gqa_ratio));
    TSR_RETURN_IF_ERROR(check_range(row, "block_size", row.block_size));
  }
  if (device->kernels().empty()) return wrong("no kernel row");
  for (const tsr_kernel_desc& row : device->skipped_kernels()) {
    return wrong("a row of no ABI that this kit knows: " +
                 skipped_kernel_text(row));
  }
  return {};
}

Status check_info_sizes(CaseContext& context) {
  const tsr_api& api = context.plugin()->api();
  return with_out_sizes<tsr_device_info>(
      "tsr_device_info", offsetof(tsr_device_info, next),
      [&](tsr_device_info* out) {
        ErrorSlot error;
        return api.device_info(context.device_index(), &error, out);
      });
}

// An error may be absent, short or long.
Status check_error_sizes(CaseContext& context) {
  const tsr_api& api = context.plugin()->api();
  tsr_device* opened = nullptr;
  const auto fails = [&](tsr_error* error) {
    return api.device_open(UINT32_MAX, nullptr, error, &opened);
  };
  if (fails(nullptr) == TSR_OK) return wrong("device_open(2^32 - 1) is OK");
  for (const uint32_t bytes :
       {4U, 8U, 16U, 17U, 32U, static_cast<uint32_t>(sizeof(tsr_error)),
        static_cast<uint32_t>(sizeof(tsr_error)) + kJunkBytes}) {
    TSR_RETURN_IF_ERROR(
        with_out_size<tsr_error>("tsr_error", bytes, [&](tsr_error* error) {
          return fails(error) == TSR_OK ? TSR_INTERNAL : TSR_OK;
        }));
  }
  ErrorSlot error;
  (void)fails(&error);
  if (!ends(error.message, sizeof(error.message))) {
    return wrong("an error message has no end");
  }
  if (error.message[0] == '\0') return wrong("device_open fails unexplained");
  return {};
}

Status check_option_names(CaseContext& context) {
  const std::pair<std::string, std::string> option{"no.such.option", "1"};
  const auto device =
      Device::open(context.plugin(), context.device_index(), {{option}});
  if (device.ok()) return wrong("opens with an option it does not list");
  if (device.status().code() == TSR_INVALID_ARGUMENT) return {};
  return wrong("an unknown option gives " +
               status_name(device.status().code()) + ", not INVALID_ARGUMENT");
}

Status create_buffer_with(Device& device, tsr_buffer_desc desc,
                          const tsr_ext* next, tsr_status* out_code) {
  desc.next = next;
  desc.id = next_host_id();
  ErrorSlot error;
  *out_code = device.api().buffer_create(device.handle(), &desc, &error);
  if (*out_code == TSR_OK) {
    device.api().buffer_destroy(device.handle(), desc.id);
  }
  return {};
}

Status check_extensions(CaseContext& context) {
  TSR_ASSIGN_OR_RETURN(const std::shared_ptr<Device> device, context.device());
  TSR_ASSIGN_OR_RETURN(const uint32_t kind,
                       device->memory_kind_with(TSR_MEMORY_HOST_VISIBLE));
  tsr_buffer_desc desc{};
  desc.struct_size = sizeof(desc);
  desc.memory_kind = kind;
  desc.bytes = 64;
  tsr_ext ext{sizeof(tsr_ext), 0, "com.example.unheard_of", nullptr};
  tsr_status code = TSR_OK;
  TSR_RETURN_IF_ERROR(create_buffer_with(*device, desc, &ext, &code));
  if (code != TSR_OK) {
    return wrong("refuses an extension that it may ignore: " +
                 status_name(code));
  }
  ext.flags = TSR_MUST_UNDERSTAND;
  TSR_RETURN_IF_ERROR(create_buffer_with(*device, desc, &ext, &code));
  if (code != TSR_UNIMPLEMENTED) {
    return wrong("a must-understand extension it cannot know gives " +
                 status_name(code) + ", not UNIMPLEMENTED");
  }
  return {};
}

// Descriptors of an older and of a newer host.
Status check_input_sizes(CaseContext& context) {
  TSR_ASSIGN_OR_RETURN(const std::shared_ptr<Device> device, context.device());
  TSR_ASSIGN_OR_RETURN(const uint32_t kind,
                       device->memory_kind_with(TSR_MEMORY_HOST_VISIBLE));
  for (const uint32_t bytes :
       {static_cast<uint32_t>(offsetof(tsr_buffer_desc, next)),
        static_cast<uint32_t>(sizeof(tsr_buffer_desc)),
        static_cast<uint32_t>(sizeof(tsr_buffer_desc)) + kJunkBytes}) {
    TSR_ASSIGN_OR_RETURN(GuardedMemory memory,
                         GuardedMemory::create(bytes, 8, "tsr_buffer_desc"));
    std::fill_n(memory.data(), bytes, kJunk);
    tsr_buffer_desc desc{};
    desc.struct_size = bytes;
    desc.memory_kind = kind;
    desc.id = next_host_id();
    desc.bytes = 64;
    std::memcpy(memory.data(), &desc, std::min<size_t>(bytes, sizeof(desc)));
    ErrorSlot error;
    const auto* in = reinterpret_cast<const tsr_buffer_desc*>(memory.data());
    const tsr_status code =
        device->api().buffer_create(device->handle(), in, &error);
    if (code != TSR_OK) {
      return wrong(fmt::format("tsr_buffer_desc of {} bytes: {}", bytes,
                               status_name(code)));
    }
    device->api().buffer_destroy(device->handle(), desc.id);
  }
  return {};
}

Status open_and_close(CaseContext& context) {
  context.drop_device();
  for (int i = 0; i < 100; ++i) {
    TSR_ASSIGN_OR_RETURN(const std::shared_ptr<Device> device,
                         context.open_device());
  }
  return context.allocator().check();
}

Status unload_and_load(CaseContext& context) {
  const Plugin& plugin = *context.plugin();
  if ((plugin.flags() & TSR_PLUGIN_UNLOADABLE) == 0) {
    return {TSR_UNAVAILABLE, "its header does not allow unloading"};
  }
  return load_and_unload(plugin.path(), context.device_index(), 100);
}

}  // namespace

void add_contract_cases(const Claim& /*claim*/, const CaseOptions& /*options*/,
                        CaseList& cases) {
  const auto add = [&](const char* id, CaseBody body) {
    Case one;
    one.id = std::string("L0/") + id;
    one.run = std::move(body);
    cases.push_back(std::move(one));
  };
  add("header", check_header);
  add("symbols", check_symbols);
  add("devices", check_devices);
  add("struct_sizes/device_info", check_info_sizes);
  add("struct_sizes/error", check_error_sizes);
  add("memory_kinds", check_memory_kinds);
  add("kernel_rows", check_rows);
  add("options", check_option_names);
  add("extensions", check_extensions);
  add("struct_sizes/buffer_desc", check_input_sizes);
  add("open_close_100", open_and_close);
  add("unload_100", unload_and_load);
}

}  // namespace tessera::conformance
