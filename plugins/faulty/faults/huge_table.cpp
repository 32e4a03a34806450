// SPDX-License-Identifier: Apache-2.0
//
// Claims a table far larger than it is.

#include "sound.hpp"

namespace {

struct Spoil {
  static void spoil(tsr_api& api) { api.struct_size = 1U << 30; }
};

}  // namespace

FAULTY_QUERY { return faulty::header_with_table<Spoil>(); }
