// SPDX-License-Identifier: Apache-2.0
//
// Claims five rows of kernels and points at none.

#include "sound.hpp"

namespace {

struct Spoil {
  static void spoil(tsr_api& api) {
    api.device_kernels = [](uint32_t, tsr_error*, tsr_array* out_kernels) {
      *out_kernels = {nullptr, 5, sizeof(tsr_kernel_desc)};
      return tsr_status{TSR_OK};
    };
  }
};

}  // namespace

FAULTY_QUERY { return faulty::header_with_table<Spoil>(); }
