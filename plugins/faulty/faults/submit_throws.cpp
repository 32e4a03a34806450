// SPDX-License-Identifier: Apache-2.0
//
// Lets an exception out of submit, which nothing across the boundary may.

#include "sound.hpp"

namespace {

struct Spoil {
  static void spoil(tsr_api& api) {
    api.queue_submit = [](tsr_queue*, const tsr_submission*,
                          tsr_error*) -> tsr_status {
      throw tessera::sdk::Error(TSR_INTERNAL, "not caught at the edge");
    };
  }
};

}  // namespace

FAULTY_QUERY { return faulty::header_with_table<Spoil>(); }
