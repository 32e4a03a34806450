// SPDX-License-Identifier: Apache-2.0
//
// What a user may choose when a device is opened.

#pragma once

#include "backends/opencl/features.hpp"
#include "backends/opencl/runtime/buffer.hpp"
#include "backends/opencl/runtime/device_facts.hpp"
#include "tessera/plugin.hpp"

namespace tessera::opencl {

// How work is cut for the device.
enum class Form {
  kBlock,  // a work-item computes a block by itself: CPUs
  kTile,   // the work-items of a group share a tile: GPUs
};

// When a step becomes a command buffer.
enum class Recording {
  kNever,
  kAgain,   // when a step is like one before
  kAtOnce,  // always: for tests
};

struct DeviceOptions {
  Form form = Form::kBlock;
  Sharing sharing = Sharing::kShared;
  Recording recording = Recording::kNever;
  // Submit returns before the work is done.
  bool is_async = false;
  Features features;
};

// Of tsr_option.
tsr_array option_table();

// Throws INVALID_ARGUMENT for an unknown key or value.
DeviceOptions read_options(const DeviceFacts& facts,
                           const sdk::Options& options);

}  // namespace tessera::opencl
