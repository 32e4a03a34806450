// SPDX-License-Identifier: Apache-2.0
//
// Hands over no table and says it did.

#include "sound.hpp"

FAULTY_QUERY {
  return faulty::spoiled_header([](tsr_plugin_header& header) {
    header.get_api = [](uint32_t, const tsr_host_services*, tsr_error*,
                        const tsr_api** out_api) {
      *out_api = nullptr;
      return tsr_status{TSR_OK};
    };
  });
}
