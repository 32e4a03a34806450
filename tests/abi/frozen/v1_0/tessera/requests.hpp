// SPDX-License-Identifier: Apache-2.0
//
// tessera/requests.hpp - reads tessera/requests.h.

#pragma once

#include <cstring>
#include <string>
#include <vector>

#include "tessera/plugin.h"
#include "tessera/requests.h"

namespace tessera::sdk {

// The devices that the user asked this plugin for; empty if the host says
// nothing.
inline std::vector<std::string> requested_devices(
    const tsr_host_services& host) {
  std::vector<std::string> names;
  for (const tsr_ext* ext = host.next; ext != nullptr; ext = ext->next) {
    if (std::strcmp(ext->name, TSR_REQUESTED_DEVICES_NAME) != 0 ||
        ext->struct_size < sizeof(tsr_requested_devices)) {
      continue;
    }
    const auto* node = reinterpret_cast<const tsr_requested_devices*>(ext);
    const uint32_t bytes =
        node->bytes < TSR_REQUESTED_BYTES ? node->bytes : TSR_REQUESTED_BYTES;
    std::string name;
    for (uint32_t i = 0; i < bytes && names.size() < node->count; ++i) {
      if (node->text[i] != '\0') {
        name += node->text[i];
        continue;
      }
      names.push_back(name);
      name.clear();
    }
  }
  return names;
}

}  // namespace tessera::sdk
