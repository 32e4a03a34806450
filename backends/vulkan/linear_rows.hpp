// SPDX-License-Identifier: Apache-2.0
//
// The kernel rows of linear: which weights and activations go together.

#pragma once

#include <vector>

#include "tessera/plugin.h"

namespace tessera::vulkan {

// What the rows point at lives as long as the library.
std::vector<tsr_kernel_desc> linear_rows();

}  // namespace tessera::vulkan
