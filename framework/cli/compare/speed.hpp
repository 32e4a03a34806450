// SPDX-License-Identifier: Apache-2.0
//
// Tokens per second of sessions, prefill and decode apart.

#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "framework/base/status.hpp"
#include "framework/runtime/session.hpp"

namespace tessera::cli {

struct Speed {
  double prefill_tokens_per_s = 0.0;
  double decode_tokens_per_s = 0.0;
};

// Continues `prompt` by `num_tokens` in one session after the other, again and
// again, so that what the machine does meanwhile hits all alike.  Gives each
// one's medians: nine rounds, or as many as fit into two seconds a session, but
// at least three.
Result<std::vector<Speed>> measure_speeds(std::span<Session* const> sessions,
                                          const std::vector<int32_t>& prompt,
                                          uint32_t num_tokens);

// The same on the clock of a simulated device, where one round says it all.
// Requires: the session profiles.
Result<Speed> simulated_speed(Session& session,
                              const std::vector<int32_t>& prompt,
                              uint32_t num_tokens);

}  // namespace tessera::cli
