// SPDX-License-Identifier: Apache-2.0
//
// Bytes on their way into and out of a device's buffers.

#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "framework/host/device/device.hpp"
#include "framework/host/device/record_builder.hpp"

namespace tessera::conformance {

std::vector<std::byte> random_bytes(size_t count, uint32_t seed);

// Submits to a queue of its own and waits; `work` gains a signal.
Status submit(const std::shared_ptr<Device>& device, SubmissionBuilder& work);
// `bytes` from `src_offset` of `src` to `dst_offset` of `dst`, by the device;
// the other fields of `what` are not read.
Status copy(const std::shared_ptr<Device>& device, const tsr_submission& what);

// In the first memory that the host sees.
Result<Buffer> filled_buffer(const std::shared_ptr<Device>& device,
                             const std::vector<std::byte>& contents);
Result<std::vector<std::byte>> contents_of(Buffer& buffer);

}  // namespace tessera::conformance
