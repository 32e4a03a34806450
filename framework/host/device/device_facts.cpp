// SPDX-License-Identifier: Apache-2.0

#include "framework/host/device/device_facts.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "framework/host/device/plugin_error.hpp"
#include "tessera/capability.hpp"
#include "tessera/record.hpp"

namespace tessera {
namespace {

// More than any machine has; larger counts are a plugin's mistake.
constexpr uint32_t kMaxDevices = 1024;
constexpr uint32_t kMaxElements = 65536;

template <typename Element>
Result<std::vector<Element>> read_elements(const tsr_array& array,
                                           const char* what) {
  if (array.count == 0) return std::vector<Element>{};
  if (array.data == nullptr || array.count > kMaxElements ||
      array.stride < sizeof(uint32_t) || array.stride % 4 != 0) {
    return Status(TSR_INVALID_ARGUMENT,
                  fmt::format("{}: {} elements of stride {} at {}", what,
                              array.count, array.stride, array.data));
  }
  return sdk::Elements<Element>(array).all();
}

template <size_t Size>
void terminate(char (&text)[Size]) {
  text[Size - 1] = '\0';
}

// Rows with values of a later ABI are of no use here; nobody asks for them.
void sort_kernels(const std::vector<tsr_kernel_desc>& rows,
                  DeviceFacts& facts) {
  for (const tsr_kernel_desc& row : rows) {
    const bool known = sdk::unknown_value(row).empty();
    (known ? facts.kernels : facts.skipped_kernels).push_back(row);
  }
}

Result<DeviceFacts> read_device(const tsr_api& api, uint32_t index) {
  DeviceFacts facts{};
  facts.info.struct_size = sizeof(facts.info);
  ErrorSlot error;
  tsr_status code = api.device_info(index, &error, &facts.info);
  TSR_RETURN_IF_ERROR(plugin_status(code, error, "device_info"));
  terminate(facts.info.name);
  terminate(facts.info.profile);
  terminate(facts.info.driver);
  terminate(facts.info.reason);
  TSR_ASSIGN_OR_RETURN(
      facts.memory_kinds,
      read_elements<tsr_memory_kind>(facts.info.memory_kinds, "memory_kinds"));
  TSR_ASSIGN_OR_RETURN(
      facts.options, read_elements<tsr_option>(facts.info.options, "options"));
  tsr_array kernels{};
  code = api.device_kernels(index, &error, &kernels);
  TSR_RETURN_IF_ERROR(plugin_status(code, error, "device_kernels"));
  TSR_ASSIGN_OR_RETURN(const std::vector<tsr_kernel_desc> rows,
                       read_elements<tsr_kernel_desc>(kernels, "kernels"));
  sort_kernels(rows, facts);
  return facts;
}

// A name of its own for each device of a plugin.
void name_devices(const std::string& plugin,
                  std::vector<DeviceFacts>& devices) {
  for (size_t i = 0; i < devices.size(); ++i) {
    const std::string profile = devices[i].info.profile;
    devices[i].name = plugin;
    if (devices.size() == 1) return;
    const bool taken =
        std::any_of(devices.begin(), devices.begin() + static_cast<int64_t>(i),
                    [&](const DeviceFacts& other) {
                      return other.info.profile == profile;
                    });
    devices[i].name +=
        ":" + (profile.empty() || taken ? std::to_string(i) : profile);
  }
}

}  // namespace

std::string skipped_kernel_text(const tsr_kernel_desc& row) {
  return fmt::format("{}: {}", row.name == nullptr ? "no name" : row.name,
                     sdk::unknown_value(row));
}

bool has_extension(const tsr_device_info& info, std::string_view extension) {
  for (const tsr_ext* ext = info.next; ext != nullptr; ext = ext->next) {
    if (extension == ext->name) return true;
  }
  return false;
}

Result<std::vector<DeviceFacts>> read_devices(const tsr_api& api,
                                              const std::string& plugin) {
  uint32_t count = 0;
  ErrorSlot error;
  const tsr_status code = api.device_count(&error, &count);
  TSR_RETURN_IF_ERROR(plugin_status(code, error, "device_count"));
  if (count > kMaxDevices) {
    return Status(TSR_INVALID_ARGUMENT,
                  fmt::format("device_count: {} devices", count));
  }
  std::vector<DeviceFacts> devices;
  for (uint32_t i = 0; i < count; ++i) {
    Result<DeviceFacts> facts = read_device(api, i);
    if (!facts.ok()) {
      return std::move(facts).status().annotate(fmt::format("device {}", i));
    }
    devices.push_back(std::move(*facts));
  }
  name_devices(plugin, devices);
  return devices;
}

}  // namespace tessera
