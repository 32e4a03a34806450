// SPDX-License-Identifier: Apache-2.0
//
// What one sequence brings to a step.

#pragma once

#include <cstdint>
#include <span>

#include "tessera/ops.h"

namespace tessera {

struct Feed {
  uint32_t sequence = 0;            // from Session::open_sequence
  std::span<const int32_t> tokens;  // at least one
  uint32_t phase = TSR_PREFILL;     // of these tokens, for good
  // Logits wanted for the last so many tokens; may be 0.
  uint32_t num_outputs = 1;
};

}  // namespace tessera
