// SPDX-License-Identifier: Apache-2.0
//
// Leaves out a function that must be there.

#include "sound.hpp"

namespace {

struct Spoil {
  static void spoil(tsr_api& api) { api.queue_submit = nullptr; }
};

}  // namespace

FAULTY_QUERY { return faulty::header_with_table<Spoil>(); }
