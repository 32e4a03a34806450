// SPDX-License-Identifier: Apache-2.0
//
// Refuses every program, with a count and a text that make no sense.

#include <cstring>

#include "sound.hpp"

namespace {

struct Spoil {
  static void spoil(tsr_api& api) {
    api.check = [](tsr_device*, const tsr_program_desc*, const tsr_array*,
                   const tsr_array*, tsr_error*, tsr_refusal* out_refusals,
                   uint32_t capacity, uint32_t, uint32_t* out_count) {
      if (capacity > 0) {
        out_refusals->op = UINT32_MAX - 1;
        out_refusals->reason = 9999;
        std::memset(out_refusals->field, 'x', sizeof(out_refusals->field));
        std::memset(out_refusals->message, 'x', sizeof(out_refusals->message));
      }
      *out_count = UINT32_MAX;
      return tsr_status{TSR_UNIMPLEMENTED};
    };
  }
};

}  // namespace

FAULTY_QUERY { return faulty::header_with_table<Spoil>(); }
