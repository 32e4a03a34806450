// SPDX-License-Identifier: Apache-2.0
//
// With TESSERA_VALIDATE=1 every call of a plugin's table passes through here:
// what host or plugin does against tessera/plugin.h is logged, once for each
// kind, and counted.

#pragma once

#include <cstdint>
#include <string>

#include "tessera/plugin.h"

namespace tessera {

// Whether the environment asks for it.
bool is_validating();

// A table that checks the calls of `api` and their answers.  Lives as long as
// the process; at most 32 plugins, the others are not checked.
tsr_api validated(const tsr_api& api, const std::string& plugin);

// Rules broken so far, by whoever.
uint64_t num_violations();

}  // namespace tessera
