// SPDX-License-Identifier: Apache-2.0
//
// What an open device says of its arithmetic, where results have more than one
// right form.

#pragma once

#include "framework/base/status.hpp"
#include "framework/host/device/device.hpp"

namespace tessera {

struct DeviceNumerics {
  // Accumulators are scaled as the fixed pipe of the chip does: by
  // reference/linear/fixed_pipe.hpp.
  bool fixed_pipe = false;
  // Float linears, and attention over a float or int8 cache, multiply 16-bit
  // floats (factor_dtype of reference::Linear and reference::Attention).
  bool half_products = false;
  // Norms, softmax and activation functions are the portable ones, whatever a
  // program asks for (reference/portable.hpp).
  bool portable_ops = false;
};

// All false for a device without a machine model: its error classes say what it
// may do, not what it does.
//
// Errors  what the device says; INTERNAL if its answer is not JSON
// Source  tessera/simulator.h, request "profile"
Result<DeviceNumerics> numerics_of(Device& device);

}  // namespace tessera
