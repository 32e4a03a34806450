// SPDX-License-Identifier: Apache-2.0
//
// Writes more of tsr_device_info than the host has room for.

#include "sound.hpp"

namespace {

struct Spoil {
  static void spoil(tsr_api& api) {
    api.device_info = [](uint32_t index, tsr_error*,
                         tsr_device_info* out_info) {
      if (index != 0) return tsr_status{TSR_INVALID_ARGUMENT};
      *out_info = faulty::SoundBackend::device_info(0);
      return tsr_status{TSR_OK};
    };
  }
};

}  // namespace

FAULTY_QUERY { return faulty::header_with_table<Spoil>(); }
