// SPDX-License-Identifier: Apache-2.0
//
// What a decode step of the embedded model, a replayed program, costs the
// thread that submits it and waits: the session's, the plugin's and the
// driver's part.

#pragma once

#include <memory>
#include <string>

#include "framework/host/device/device.hpp"

namespace tessera::vulkan {

// Prints it for some schemes, those whose row's name holds `part`.  Throws
// std::runtime_error.
void run_host_cost(const std::shared_ptr<Device>& device,
                   const std::string& part);

}  // namespace tessera::vulkan
