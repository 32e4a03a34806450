// SPDX-License-Identifier: Apache-2.0
//
// The functions of a checked table: each looks at its arguments, calls the
// plugin's, and looks at the answer.

#pragma once

#include "tessera/plugin.h"

namespace tessera::validation {

// Replace the functions of `api` that make or destroy objects, and those that
// ask and run.
void check_objects(tsr_api& api);
void check_work(tsr_api& api);

}  // namespace tessera::validation
