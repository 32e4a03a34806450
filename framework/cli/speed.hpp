// SPDX-License-Identifier: Apache-2.0
//
// Tokens per second of a session, prefill and decode apart.

#pragma once

#include <cstdint>
#include <vector>

#include "framework/base/status.hpp"
#include "framework/runtime/session.hpp"

namespace tessera::cli {

struct Speed {
  double prefill_tokens_per_s = 0.0;
  double decode_tokens_per_s = 0.0;
};

// Continues `prompt` by `num_tokens` again and again, and gives the medians:
// nine rounds, or as many as fit into two seconds, but at least three.
Result<Speed> measure_speed(Session& session,
                            const std::vector<int32_t>& prompt,
                            uint32_t num_tokens);

}  // namespace tessera::cli
