// SPDX-License-Identifier: Apache-2.0
//
// Its table ends after the first function.

#include "sound.hpp"

namespace {

struct Spoil {
  static void spoil(tsr_api& api) {
    api.struct_size = offsetof(tsr_api, device_info);
  }
};

}  // namespace

FAULTY_QUERY { return faulty::header_with_table<Spoil>(); }
