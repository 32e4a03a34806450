// SPDX-License-Identifier: Apache-2.0
//
// Ways that kernels differ in from device to device, forced on this one by
// options, and what each of them must give.

#pragma once

#include <memory>
#include <string>
#include <vector>

#include "tests/unit/backends/device/linear_case.hpp"

namespace tessera::device_test {

// "form=tile dot=native" as options.
Options options_of(const std::string& text);
// The same as part of a test's name.
std::string test_name_of(const std::string& text);

// One row, few, and many, which tiles of 64 hold with a rest; columns from the
// middle of a tile on; floats, and codes of the activation where the weight has
// codes.
void expect_linears(const std::shared_ptr<Device>& device,
                    const std::vector<const char*>& kinds);

// Codes at the ends of s8 on both sides, and K that four does not divide.
void expect_extreme_codes(const std::shared_ptr<Device>& device);

}  // namespace tessera::device_test
