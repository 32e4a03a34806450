// SPDX-License-Identifier: Apache-2.0
//
// What every Vulkan device runs, without being opened.

#pragma once

#include "tessera/plugin.h"

namespace tessera::vulkan {

// Of tsr_kernel_desc.
tsr_array kernel_rows();

}  // namespace tessera::vulkan
