// SPDX-License-Identifier: Apache-2.0
//
// The first talk with a plugin: which ABI version both speak, and a table with
// every function in it.  The plugin has no part in the choice.

#pragma once

#include <cstdint>
#include <string>

#include "framework/base/status.hpp"
#include "tessera/plugin.h"

namespace tessera {

// Versions, (major << 16) | minor, both ends included.
struct AbiRange {
  uint32_t min = 0;
  uint32_t max = 0;
};

inline constexpr AbiRange kHostAbi = {TSR_ABI_MAJOR << 16,
                                      (TSR_ABI_MAJOR << 16) | TSR_ABI_MINOR};

// "1.0" for 0x10000.
std::string abi_version_name(uint32_t version);

// The sanitizer that this host was built with: TSR_SANITIZER_*.
uint32_t host_sanitizer();

struct PluginIdentity {
  std::string name;
  std::string version;
  std::string build_id;
  uint32_t flags = 0;  // TSR_PLUGIN_*
};

struct NegotiatedApi {
  PluginIdentity identity;
  uint32_t abi_version = 0;  // the highest that both speak
  // The plugin's functions; where it has none, a stub that says so.
  tsr_api api{};
};

// Checks a plugin's header and asks it for its table.
//
// Errors  INVALID_ARGUMENT for a header or table that makes no sense, naming
//         the field;
//         FAILED_PRECONDITION if the plugin speaks no version of `host`, or was
//         built with another sanitizer;
//         what get_api returns
Result<NegotiatedApi> negotiate(const tsr_plugin_header* header,
                                const tsr_host_services* services,
                                AbiRange host = kHostAbi);

// The checks before get_api; the identity it found.
Result<PluginIdentity> check_header(const tsr_plugin_header* header,
                                    AbiRange host, uint32_t* out_abi_version);

}  // namespace tessera
