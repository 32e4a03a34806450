// SPDX-License-Identifier: Apache-2.0
//
// What every OpenCL device runs, without being opened.

#pragma once

#include "tessera/plugin.h"

namespace tessera::opencl {

// Of tsr_kernel_desc.
tsr_array kernel_rows();

}  // namespace tessera::opencl
