// SPDX-License-Identifier: Apache-2.0
//
// What the device can run, as data: the host plans from it, `check` answers
// from it, and the conformance kit tests every row.

#pragma once

#include "tessera/plugin.h"

namespace my {

// Of tsr_kernel_desc, best first.
tsr_array kernel_table();

}  // namespace my
