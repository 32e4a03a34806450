// SPDX-License-Identifier: Apache-2.0
//
// Copies between and within buffers of a device, checked byte by byte.

#pragma once

#include <memory>

#include "framework/host/device/device.hpp"

namespace tessera::device_test {

void expect_copies(const std::shared_ptr<Device>& device);

}  // namespace tessera::device_test
