// SPDX-License-Identifier: Apache-2.0
//
// What the cpu says about itself without being opened.

#pragma once

#include "tessera/plugin.h"

namespace tessera::cpu {

tsr_device_info describe_device();

// Of tsr_kernel_desc; every row a kernel of kernels/.
tsr_array kernel_rows();

}  // namespace tessera::cpu
