// SPDX-License-Identifier: Apache-2.0
//
// What kernels do differently from device to device: one table says which ways
// there are, which a device offers, and which it takes unasked.

#pragma once

#include <cstdint>
#include <string>

#include "backends/vulkan/runtime/instance.hpp"
#include "tessera/plugin.hpp"

namespace tessera::vulkan {

// How work is cut for the device.
enum class Form : uint32_t {
  kBlock = 0,  // a subgroup computes a block by itself: drivers that use a CPU
  kTile = 1,   // the invocations of a work-group share a tile: GPUs
};

struct Features {
  Form form = Form::kTile;
};

// Of tsr_option, one for each feature.
tsr_array option_table();

// The best that the device offers, but for what the options force.
//
// Errors  throws INVALID_ARGUMENT for an unknown feature or way, or one that
// the
//         device does not offer
Features read_options(const GpuFacts& facts, const sdk::Options& options);

}  // namespace tessera::vulkan
