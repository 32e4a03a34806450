// SPDX-License-Identifier: Apache-2.0
//
// What kernels do differently from device to device: one table says which ways
// there are, which a device offers, and which is best.

#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "backends/opencl/runtime/device_facts.hpp"
#include "tessera/plugin.h"

namespace tessera::opencl {

// Each a code of its macro in kernels/*.cl.
struct Features {
  uint32_t half = 0;       // HALF: how f16 becomes f32
  uint32_t dot = 0;        // DOT: products of four s8 at a time, in tiles
  uint32_t subgroups = 0;  // SUBGROUPS: who adds up one row, in tiles
  uint32_t pairs = 2;      // PAIRS: of s16 products, in blocks
  uint32_t width = 16;     // WIDTH: of vectors, for the rows in registers
};

// The best that the device offers.
Features best_features(const DeviceFacts& facts);

// Sets a feature by name; false if there is none of that name.
//
// Errors  throws INVALID_ARGUMENT for an unknown way, or one that the device
//         does not offer
bool set_feature(const DeviceFacts& facts,
                 const std::pair<std::string, std::string>& option,
                 Features& features);

// Of tsr_option, one for each feature.
const std::vector<tsr_option>& feature_options();

// Compiler options of every kernel, of those where a group takes a row, and of
// those of linear alone.
std::string common_constants(const Features& features);
std::string group_constants(const Features& features);
std::string linear_constants(const Features& features, bool codes_are_s8);

}  // namespace tessera::opencl
