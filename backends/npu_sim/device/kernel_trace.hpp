// SPDX-License-Identifier: Apache-2.0
//
// A Chrome trace of the launches of a device.

#pragma once

#include <string>
#include <vector>

#include "tessera/plugin.h"

namespace tessera::npu {

// False if the file could not be written.  Times are those of the simulated
// clock, in microseconds as the format has it.
bool write_kernel_trace(const std::string& path, const std::string& device,
                        const std::vector<tsr_kernel_record>& records);

}  // namespace tessera::npu
