// SPDX-License-Identifier: Apache-2.0

#include "backends/opencl/runtime/cl_handles.hpp"

#include "tessera/error.hpp"

namespace tessera::opencl {
namespace {

bool is_out_of_memory(cl_int code) {
  return code == CL_MEM_OBJECT_ALLOCATION_FAILURE ||
         code == CL_OUT_OF_RESOURCES || code == CL_OUT_OF_HOST_MEMORY ||
         code == CL_INVALID_BUFFER_SIZE;
}

}  // namespace

void check_cl(cl_int code, const std::string& what) {
  if (code == CL_SUCCESS) return;
  const std::string message =
      "opencl: " + what + " failed with code " + std::to_string(code);
  if (is_out_of_memory(code)) {
    throw sdk::Error(TSR_RESOURCE_EXHAUSTED, message)
        .retry(TSR_RETRY_SMALLER, code);
  }
  const tsr_status status =
      code == CL_DEVICE_NOT_AVAILABLE ? TSR_UNAVAILABLE : TSR_INTERNAL;
  throw sdk::Error(status, message).retry(TSR_RETRY_NEVER, code);
}

}  // namespace tessera::opencl
