// SPDX-License-Identifier: Apache-2.0
//
// The host's log: lines for a developer on stderr.  What a user must know goes
// through Status instead.

#pragma once

#include <cstdint>
#include <string_view>

#include "tessera/types.h"

namespace tessera {

// Writes one line if `level` (TSR_LOG_*) is at least the threshold.  Any
// thread.
void log(uint32_t level, std::string_view message);

// Lines below `level` are dropped; TSR_LOG_WARNING at the start.
void set_log_level(uint32_t level);

}  // namespace tessera
