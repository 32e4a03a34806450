// SPDX-License-Identifier: Apache-2.0
//
// How an open device scales accumulators.

#pragma once

#include "framework/base/status.hpp"
#include "framework/host/device/device.hpp"

namespace tessera {

// Whether the device was opened to scale accumulators as the fixed pipe of its
// chip would: by reference/linear/fixed_pipe.hpp.  False for a device without a
// machine model, whose results have one meaning.
//
// Errors  what the device says; INTERNAL if its answer is not JSON
// Source  tessera/simulator.h, request "profile"
Result<bool> has_fixed_pipe(Device& device);

}  // namespace tessera
