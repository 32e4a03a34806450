// SPDX-License-Identifier: Apache-2.0
//
// The rows of tsr_api: which functions a plugin must have, and what stands in
// for those it has not.

#pragma once

#include "framework/base/status.hpp"
#include "tessera/plugin.h"

namespace tessera {

// A table with every function of this host's ABI: the plugin's where `table`
// has one, else a stub that returns UNIMPLEMENTED and says its name.
//
// Errors  INVALID_ARGUMENT if struct_size is not that of a table, or a function
//         that is not optional is missing, naming it
Result<tsr_api> complete_api(const tsr_api* table);

}  // namespace tessera
