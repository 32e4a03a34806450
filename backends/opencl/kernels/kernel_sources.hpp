// SPDX-License-Identifier: Apache-2.0
//
// The .cl files of this folder, as the plugin carries them.

#pragma once

#include <string>

namespace tessera::opencl {

// The text of <name>.cl; empty if there is no such file.
std::string kernel_source(const std::string& name);

}  // namespace tessera::opencl
