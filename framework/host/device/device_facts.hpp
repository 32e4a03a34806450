// SPDX-License-Identifier: Apache-2.0
//
// What a plugin says about its devices before one is opened.

#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "framework/base/status.hpp"
#include "tessera/plugin.h"

namespace tessera {

struct DeviceFacts {
  std::string name;      // "cpu" alone, else "npu_sim:310p" or "vulkan:1"
  tsr_device_info info;  // what it points at lives as long as the library
  std::vector<tsr_memory_kind> memory_kinds;
  std::vector<tsr_option> options;
  std::vector<tsr_kernel_desc> kernels;  // those that this host understands
  std::vector<tsr_kernel_desc> skipped_kernels;  // of a later ABI
};

// Why a row was skipped: "linear_x: op 13".
std::string skipped_kernel_text(const tsr_kernel_desc& row);

// True if the device names the extension in its `next` chain.
bool has_extension(const tsr_device_info& info, std::string_view extension);

// Asks `api` for its devices, unhealthy ones included, and checks what it says.
//
// Errors  what the plugin reports;
//         INVALID_ARGUMENT for an array that makes no sense, naming it
Result<std::vector<DeviceFacts>> read_devices(const tsr_api& api,
                                              const std::string& plugin);

}  // namespace tessera
