// SPDX-License-Identifier: Apache-2.0
//
// A driver that breaks when the loader asks it for its platforms, in the way
// that TSR_FAULT names.

#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>

namespace {

int32_t list_platforms(uint32_t /*capacity*/, void** /*platforms*/,
                       uint32_t* /*count*/) {
  const char* fault = TSR_FAULT;
  if (std::strcmp(fault, "abort") == 0) std::abort();
  if (std::strcmp(fault, "hang") == 0) {
    while (true) pause();
  }
  volatile int* nowhere = nullptr;
  *nowhere = 1;
  return 0;
}

}  // namespace

// What the loader looks for in every driver; the first is never called.
extern "C" __attribute__((visibility("default"))) int32_t
clGetPlatformInfo() {  // NOLINT(*-naming): OpenCL's name
  return -1;
}

extern "C" __attribute__((visibility("default"))) void*
clGetExtensionFunctionAddress(  // NOLINT(*-naming): OpenCL's name
    const char* name) {
  if (std::strcmp(name, "clIcdGetPlatformIDsKHR") != 0) return nullptr;
  return reinterpret_cast<void*>(&list_platforms);
}
