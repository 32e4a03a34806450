// SPDX-License-Identifier: Apache-2.0
//
// Which device the suites of this folder run on; each test program says.

#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace tessera::device_test {

struct LinearShape {
  uint32_t M;
  uint32_t N;
  uint32_t K;
};

struct DeviceUnderTest {
  std::string id;            // as "cpu:0"
  std::string cache_folder;  // in the build tree
  // Each edge of the kernels' loops once.
  std::vector<LinearShape> linear_shapes;
  // What it is opened with, before a test's own options.
  std::vector<std::pair<std::string, std::string>> options = {};
  // True if tensors lie in memory that the device imports.
  bool imports_memory = false;
};

DeviceUnderTest device_under_test();

}  // namespace tessera::device_test
