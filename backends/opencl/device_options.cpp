// SPDX-License-Identifier: Apache-2.0

#include "backends/opencl/device_options.hpp"

#include <string>

namespace tessera::opencl {
namespace {

[[noreturn]] void refuse(const std::string& key, const std::string& value,
                         const std::string& right) {
  throw sdk::Error(TSR_INVALID_ARGUMENT,
                   "opencl: option " + key + "=" + value + " is not " + right);
}

Form parse_form(const std::string& value, Form best) {
  if (value == "auto") return best;
  if (value == "block") return Form::kBlock;
  if (value == "tile") return Form::kTile;
  refuse("form", value, "auto, block or tile");
}

Sharing parse_sharing(const std::string& value, Sharing best) {
  if (value == "auto") return best;
  if (value == "shared") return Sharing::kShared;
  if (value == "mapped") return Sharing::kMapped;
  if (value == "copied") return Sharing::kCopied;
  refuse("memory", value, "auto, shared, mapped or copied");
}

}  // namespace

tsr_array option_table() {
  static const tsr_option kOptions[] = {
      {sizeof(tsr_option), TSR_OPTION_TEXT, "form", "auto",
       "how work is cut: block (a work-item per block, for CPUs), tile (a "
       "work-group per tile, for GPUs), auto"},
      {sizeof(tsr_option), TSR_OPTION_TEXT, "memory", "auto",
       "how the host sees buffers: shared (the device works in host memory), "
       "mapped (handed over by map and unmap), copied, auto"},
  };
  return {kOptions, 2, sizeof(tsr_option)};
}

DeviceOptions read_options(const DeviceFacts& facts,
                           const sdk::Options& options) {
  DeviceOptions result;
  result.form = facts.is_cpu ? Form::kBlock : Form::kTile;
  result.sharing = facts.is_cpu               ? Sharing::kShared
                   : facts.has_unified_memory ? Sharing::kMapped
                                              : Sharing::kCopied;
  const DeviceOptions best = result;
  for (const auto& [key, value] : options) {
    if (key == "form") {
      result.form = parse_form(value, best.form);
    } else if (key == "memory") {
      result.sharing = parse_sharing(value, best.sharing);
    } else {
      throw sdk::Error(TSR_INVALID_ARGUMENT, "opencl: no option " + key +
                                                 "; there are form and memory");
    }
  }
  return result;
}

}  // namespace tessera::opencl
