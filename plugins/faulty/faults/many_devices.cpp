// SPDX-License-Identifier: Apache-2.0
//
// Claims four billion devices.

#include "sound.hpp"

namespace {

struct Spoil {
  static void spoil(tsr_api& api) {
    api.device_count = [](tsr_error*, uint32_t* out_count) {
      *out_count = UINT32_MAX;
      return tsr_status{TSR_OK};
    };
  }
};

}  // namespace

FAULTY_QUERY { return faulty::header_with_table<Spoil>(); }
