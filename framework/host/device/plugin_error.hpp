// SPDX-License-Identifier: Apache-2.0
//
// What a plugin's failure looks like on the host's side.

#pragma once

#include <string>

#include "framework/base/status.hpp"
#include "tessera/types.h"

namespace tessera {

// Room for the explanation that every call may write.
struct ErrorSlot : tsr_error {
  ErrorSlot() : tsr_error{sizeof(tsr_error), TSR_RETRY_NEVER, 0, {}} {}
};

// OK, or `code` with "CONTEXT: what the plugin said".
Status plugin_status(tsr_status code, const tsr_error& error,
                     const std::string& context);

}  // namespace tessera
