// SPDX-License-Identifier: Apache-2.0
//
// Opens a device some of whose kernels no plan may use.

#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "framework/base/status.hpp"
#include "framework/host/device/device.hpp"
#include "framework/host/device/device_facts.hpp"
#include "framework/host/trust/certificate.hpp"

namespace tessera {

// As Device::open; check and create_program of the device refuse what would run
// on a kernel that `failures` name.  `facts` are those of the device `index`.
//
// Errors  FAILED_PRECONDITION for a failure of a case that is of no single
//         kernel, which bars the device whole; as Device::open
Result<std::shared_ptr<Device>> open_barred(
    const std::shared_ptr<Plugin>& plugin, uint32_t index,
    DeviceOptions options, const DeviceFacts& facts,
    const std::vector<KnownFailure>& failures);

}  // namespace tessera
