// SPDX-License-Identifier: Apache-2.0
//
// Float types that a scheme leaves open: what a device lacks is replaced by
// what it has.

#pragma once

#include "framework/format/scheme.hpp"
#include "framework/host/device/device.hpp"

namespace tessera {

// `scheme` with head, KV cache, the tensors between ops and the weights that a
// quantized file keeps in floats, in F16, else BF16, where they are floats that
// `device` has no kernel for.  The weights and
// activations that the scheme's name speaks of stay as they are, and so does
// what no 16-bit type would help: the device then refuses it by name.
Scheme fit_scheme(Scheme scheme, const Device& device);

}  // namespace tessera
