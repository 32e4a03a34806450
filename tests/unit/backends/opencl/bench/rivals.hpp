// SPDX-License-Identifier: Apache-2.0
//
// Two ways to the same end, in turn: this backend's f32 over CLBlast's, and
// its int8 over its f32.

#pragma once

#include <memory>
#include <string>

#include "framework/host/device.hpp"

namespace tessera::device_test {

// Prints how many times as fast the first is of each pair whose name holds
// `part`.  Throws std::runtime_error or sdk::Error.
void run_rivals(const std::shared_ptr<Device>& device, const std::string& part);

}  // namespace tessera::device_test
