// SPDX-License-Identifier: Apache-2.0
//
// What the mutant claims to run.

#pragma once

#include "tessera/plugin.h"

namespace mutant {

// Of tsr_kernel_desc.
tsr_array kernel_rows();

}  // namespace mutant
