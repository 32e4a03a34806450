// SPDX-License-Identifier: Apache-2.0
//
// Bare copies from GM: what a chip's memory alone can do.

#pragma once

#include "backends/npu_sim/machine/stream.hpp"
#include "backends/npu_sim/profile/profile.hpp"

namespace tessera::npu {

// Errors  throws sdk::Error INVALID_ARGUMENT for shapes without elements, more
//         cores than there are, or a tile beyond its memory
Stream lower_copy(const Profile& profile, const Copy& copy);
double copy_cycles(const Profile& profile, const Copy& copy);

}  // namespace tessera::npu
