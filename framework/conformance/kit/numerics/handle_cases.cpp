// SPDX-License-Identifier: Apache-2.0
//
// Level 1, handles of buffers: what is exported and imported is the same
// memory, seen from both sides.

#include <fcntl.h>
#include <fmt/format.h>

#include <cstring>
#include <utility>

#include "framework/conformance/kit/cases.hpp"
#include "framework/conformance/kit/trial/moved_bytes.hpp"
#include "framework/host/device/plugin_error.hpp"
#include "framework/host/services/shared_memory.hpp"

namespace tessera::conformance {
namespace {

constexpr uint64_t kBytes = 12288;  // three pages

// One pair of a device's memory kind and a type of handle that it declares.
struct HandleTrial {
  std::shared_ptr<Device> device;
  uint32_t kind = 0;
  uint32_t type = 0;

  Result<uint64_t> export_of(const Buffer& buffer) const {
    ErrorSlot error;
    uint64_t handle = 0;
    const tsr_status code = device->api().buffer_export(
        device->handle(), buffer.id(), type, &error, &handle);
    TSR_RETURN_IF_ERROR(device->from_plugin(code, error, "buffer_export"));
    return handle;
  }
  // The first `bytes` behind the descriptor.
  Result<Buffer> import_from(const SharedMemory& memory, uint64_t bytes) const {
    tsr_buffer_desc desc{};
    desc.struct_size = sizeof(desc);
    desc.memory_kind = kind;
    desc.id = next_host_id();
    desc.bytes = bytes;
    ErrorSlot error;
    const tsr_status code =
        device->api().buffer_import(device->handle(), &desc, type,
                                    static_cast<uint64_t>(memory.fd()), &error);
    TSR_RETURN_IF_ERROR(device->from_plugin(code, error, "buffer_import"));
    const uint32_t flags = device->memory_kinds()[kind].flags;
    return Buffer(DeviceObject(device, desc.id, &tsr_api::buffer_destroy),
                  bytes, (flags & TSR_MEMORY_COHERENT) != 0);
  }
};

Status copy_all(const HandleTrial& trial, const Buffer& src,
                const Buffer& dst) {
  tsr_submission what{};
  what.src = src.id();
  what.dst = dst.id();
  what.bytes = kBytes;
  return copy(trial.device, what).annotate("copy");
}

// That the device and whoever maps `memory` see each other's writes.
Status check_is_shared(const HandleTrial& trial, const Buffer& buffer,
                       const SharedMemory& memory, const char* what) {
  const std::vector<std::byte> ours = random_bytes(kBytes, 7);
  std::memcpy(memory.data(), ours.data(), kBytes);
  TSR_ASSIGN_OR_RETURN(
      Buffer seen, filled_buffer(trial.device, std::vector<std::byte>(kBytes)));
  TSR_RETURN_IF_ERROR(copy_all(trial, buffer, seen));
  TSR_ASSIGN_OR_RETURN(const std::vector<std::byte> read, contents_of(seen));
  if (read != ours) {
    return {
        TSR_INTERNAL,
        fmt::format("the device does not see what was written to {}", what)};
  }
  const std::vector<std::byte> theirs = random_bytes(kBytes, 8);
  TSR_ASSIGN_OR_RETURN(Buffer from, filled_buffer(trial.device, theirs));
  TSR_RETURN_IF_ERROR(copy_all(trial, from, buffer));
  if (std::memcmp(memory.data(), theirs.data(), kBytes) == 0) return {};
  return {TSR_INTERNAL,
          fmt::format("what the device wrote is not in {}", what)};
}

// A device that maps memory which is not there ends its process at the first
// touch, so such a descriptor is to be refused.
Status check_short_is_refused(const HandleTrial& trial) {
  TSR_ASSIGN_OR_RETURN(const SharedMemory memory,
                       SharedMemory::create("short", kBytes - 4096));
  if (!trial.import_from(memory, kBytes).ok()) return {};
  return {TSR_INTERNAL, "imports a descriptor of fewer bytes than the buffer"};
}

// UNIMPLEMENTED if the device imports no descriptors.
Status check_import(const HandleTrial& trial) {
  TSR_ASSIGN_OR_RETURN(SharedMemory memory,
                       SharedMemory::create("imported", kBytes));
  TSR_ASSIGN_OR_RETURN(const Buffer buffer, trial.import_from(memory, kBytes));
  memory.close_fd();
  TSR_RETURN_IF_ERROR(
      check_is_shared(trial, buffer, memory, "an imported descriptor"));
  return check_short_is_refused(trial);
}

// UNIMPLEMENTED if the device exports no descriptors.
Status check_export(const HandleTrial& trial, const Buffer& buffer) {
  TSR_ASSIGN_OR_RETURN(const uint64_t handle, trial.export_of(buffer));
  // The handle lives and dies with the buffer; this one is ours to close.
  FileDescriptor fd(fcntl(static_cast<int>(handle), F_DUPFD_CLOEXEC, 0));
  if (!fd.is_open()) {
    return {TSR_INTERNAL, "exports a descriptor that is not open"};
  }
  Result<SharedMemory> memory =
      SharedMemory::map(std::move(fd), buffer.bytes());
  if (!memory.ok()) {
    return {TSR_INTERNAL,
            "exports a descriptor that is no memory of the buffer's size"};
  }
  return check_is_shared(trial, buffer, *memory, "an exported descriptor");
}

bool is_unimplemented(const Status& status) {
  return status.code() == TSR_UNIMPLEMENTED;
}

Status check_descriptor(const HandleTrial& trial) {
  TSR_ASSIGN_OR_RETURN(const Buffer buffer,
                       trial.device->create_buffer(kBytes, trial.kind));
  const Status exported = check_export(trial, buffer);
  // Memory that a test can make is no dma-buf.
  Status imported = trial.type == TSR_HANDLE_FD
                        ? check_import(trial)
                        : Status(TSR_UNIMPLEMENTED, "not tried");
  if (!is_unimplemented(exported)) TSR_RETURN_IF_ERROR(exported);
  if (!is_unimplemented(imported)) return imported;
  if (!is_unimplemented(exported) || trial.type != TSR_HANDLE_FD) return {};
  return {TSR_INTERNAL,
          fmt::format("memory kind {} declares handles of type {}, but neither "
                      "exports nor imports one",
                      trial.kind, trial.type)};
}

// Leads to where the buffer maps.
Status check_pointer(const HandleTrial& trial) {
  TSR_ASSIGN_OR_RETURN(Buffer buffer,
                       trial.device->create_buffer(kBytes, trial.kind));
  const Result<uint64_t> handle = trial.export_of(buffer);
  if (is_unimplemented(handle.status())) return {};
  TSR_RETURN_IF_ERROR(handle.status());
  TSR_ASSIGN_OR_RETURN(void* mapped, buffer.map());
  if (*handle == reinterpret_cast<uint64_t>(mapped)) return {};
  return {TSR_INTERNAL, "the exported host pointer is not where it maps"};
}

// No kind of handle has this number.
Status check_unknown_type(HandleTrial trial) {
  trial.type = 1U << 30;
  TSR_ASSIGN_OR_RETURN(const Buffer buffer,
                       trial.device->create_buffer(kBytes, trial.kind));
  if (!trial.export_of(buffer).ok()) return {};
  return {TSR_INTERNAL, "exports a handle of no known type"};
}

// Calls `check` for every kind of memory that declares one of `types`.
Status check_kinds(CaseContext& context, uint32_t types,
                   const std::function<Status(const HandleTrial&)>& check) {
  TSR_ASSIGN_OR_RETURN(const std::shared_ptr<Device> device, context.device());
  const std::vector<tsr_memory_kind>& kinds = device->memory_kinds();
  bool any = false;
  for (uint32_t kind = 0; kind < kinds.size(); ++kind) {
    for (const uint32_t type :
         {TSR_HANDLE_HOST_POINTER, TSR_HANDLE_FD, TSR_HANDLE_DMA_BUF}) {
      if ((kinds[kind].handles & types & type) == 0) continue;
      any = true;
      TSR_RETURN_IF_ERROR(check({device, kind, type}));
    }
  }
  if (any) return context.allocator().check();
  return {TSR_UNAVAILABLE, "no memory kind has such handles"};
}

Status check_exports(CaseContext& context) {
  return check_kinds(
      context, TSR_HANDLE_HOST_POINTER, [](const HandleTrial& trial) -> Status {
        const tsr_memory_kind& kind = trial.device->memory_kinds()[trial.kind];
        // Of other memory, a host pointer can be imported alone.
        if ((kind.flags & TSR_MEMORY_HOST_VISIBLE) != 0) {
          TSR_RETURN_IF_ERROR(check_pointer(trial));
        }
        return check_unknown_type(trial);
      });
}

Status check_descriptors(CaseContext& context) {
  return check_kinds(context,
                     uint32_t{TSR_HANDLE_FD} | uint32_t{TSR_HANDLE_DMA_BUF},
                     check_descriptor);
}

}  // namespace

void add_handle_cases(CaseList& cases) {
  Case pointers;
  pointers.id = "L1/exports";
  pointers.run = check_exports;
  cases.push_back(std::move(pointers));
  Case descriptors;
  descriptors.id = "L1/descriptors";
  descriptors.run = check_descriptors;
  cases.push_back(std::move(descriptors));
}

}  // namespace tessera::conformance
