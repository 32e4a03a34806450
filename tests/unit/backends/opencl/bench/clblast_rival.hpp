// SPDX-License-Identifier: Apache-2.0
//
// This backend's f32 over CLBlast's, in turn.

#pragma once

#include <memory>
#include <string>

#include "framework/host/device/device.hpp"

namespace tessera::device_test {

// Prints how many times as fast ours is, for each pair whose name holds `part`.
// Throws std::runtime_error or sdk::Error.
void run_clblast_rivals(const std::shared_ptr<Device>& device,
                        const std::string& part);

}  // namespace tessera::device_test
