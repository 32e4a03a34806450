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

// Who does something that not every device has an instruction for.
enum class Way : uint32_t {
  kOff = 0,       // kernels do without
  kEmulated = 1,  // the kernels that want it, on a device that lacks it
  kNative = 2,
};

// Which bytes of the host's take the way through the staging ring.
enum class Staging : uint32_t {
  kNeeded = 0,  // those that the device does not see otherwise
  kAlways = 1,  // all but those in buffers that it shares with the host
};

struct Features {
  Form form = Form::kTile;
  Way storage = Way::kNative;  // loads and stores of 8 and 16 bits; never kOff
  Way subgroups =
      Way::kOff;           // sums and maxima over a work-group; off or native
  Way dot = Way::kOff;     // products of four s8 at a time, in tiles
  Way matrix = Way::kOff;  // cooperative matrices, in tiles of many rows
  Staging staging = Staging::kNeeded;
  Way queues = Way::kOff;   // lanes of their own for sessions and copies
  uint64_t timeout_ns = 0;  // of a submission
};

// Of tsr_option, one for each feature, and the timeout.
tsr_array option_table();

// The lanes that features.queues asks for.
QueuePlan plan_queues(const GpuFacts& facts, const Features& features);

// The best that the device offers, but for what the options force.
//
// Errors  throws INVALID_ARGUMENT for an unknown feature or way, or one that
//         the device does not offer
Features read_options(const GpuFacts& facts, const sdk::Options& options);

}  // namespace tessera::vulkan
