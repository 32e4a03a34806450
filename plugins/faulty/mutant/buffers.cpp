// SPDX-License-Identifier: Apache-2.0
//
// Memory that the mutant shares with others.

#include <sys/mman.h>
#include <unistd.h>

#include <cstring>

#include "device.hpp"
#include "fault.hpp"

namespace mutant {

namespace sdk = tessera::sdk;

void MutantDevice::buffer_import(const tsr_buffer_desc& desc, uint32_t type,
                                 uint64_t handle) {
  const bool is_shared = type == TSR_HANDLE_FD;
  const int fd = static_cast<int>(handle);
  if (is_shared && has("imports_no_descriptors")) {
    throw sdk::Error(TSR_UNIMPLEMENTED, "no descriptors");
  }
  if (is_shared && has("import_is_a_copy")) {
    SharedMemoryDevice::buffer_create(desc);
    char* memory = buffer(desc.id)->at(0, desc.bytes);
    if (pread(fd, memory, desc.bytes, 0) < 0) std::memset(memory, 0, 1);
    return;
  }
  if (is_shared && (has("imports_short_descriptors") ||
                    has("imports_from_the_second_page"))) {
    const off_t begin = has("imports_from_the_second_page") ? 4096 : 0;
    void* memory = mmap(nullptr, desc.bytes, PROT_READ | PROT_WRITE, MAP_SHARED,
                        fd, begin);
    SharedMemoryDevice::buffer_import(desc, TSR_HANDLE_HOST_POINTER,
                                      reinterpret_cast<uint64_t>(memory));
    return;
  }
  SharedMemoryDevice::buffer_import(desc, type, handle);
}

uint64_t MutantDevice::buffer_export(uint64_t buffer, uint32_t type) {
  if (has("exports_anything")) type = TSR_HANDLE_HOST_POINTER;
  if (type == TSR_HANDLE_FD && has("exports_a_closed_descriptor")) return 9999;
  if (type == TSR_HANDLE_FD && has("exports_other_memory")) {
    const int fd = memfd_create("other", MFD_CLOEXEC);
    const auto bytes = static_cast<off_t>(this->buffer(buffer)->bytes());
    if (ftruncate(fd, bytes) != 0) return 0;
    return static_cast<uint64_t>(fd);
  }
  const uint64_t moved = has("exports_another_address") ? 64 : 0;
  return SharedMemoryDevice::buffer_export(buffer, type) + moved;
}

}  // namespace mutant
