// SPDX-License-Identifier: Apache-2.0
//
// Refuses to hand over its table.

#include "sound.hpp"

FAULTY_QUERY {
  return faulty::spoiled_header([](tsr_plugin_header& header) {
    header.get_api = [](uint32_t, const tsr_host_services*, tsr_error* err,
                        const tsr_api**) {
      return tessera::sdk::detail::fail(
          err, tessera::sdk::Error(TSR_INTERNAL, "no table today"));
    };
  });
}
