// SPDX-License-Identifier: Apache-2.0

#include "tests/unit/backends/device/shared_buffer.hpp"

#include <utility>

#include "tests/unit/backends/device/device_under_test.hpp"

namespace tessera::device_test {

Result<SharedBuffer> SharedBuffer::create(Device& device, uint64_t bytes) {
  SharedBuffer shared;
  if (device_under_test().imports_memory) {
    shared.imported_.resize(bytes);
    TSR_ASSIGN_OR_RETURN(shared.buffer_,
                         device.import_host(shared.imported_.data(), bytes));
  } else {
    TSR_ASSIGN_OR_RETURN(const uint32_t kind,
                         device.memory_kind_with(TSR_MEMORY_HOST_VISIBLE));
    TSR_ASSIGN_OR_RETURN(shared.buffer_, device.create_buffer(bytes, kind));
  }
  TSR_ASSIGN_OR_RETURN(void* mapped, shared.buffer_.map());
  shared.memory_ = static_cast<std::byte*>(mapped);
  return shared;
}

}  // namespace tessera::device_test
