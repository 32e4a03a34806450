// SPDX-License-Identifier: Apache-2.0
//
// Devices, buffers and timelines of a plugin in a child.

#include <algorithm>
#include <cstring>
#include <string>
#include <utility>

#include "framework/host/device/timeline_cells.hpp"
#include "framework/host/remote/remote_plugin.hpp"
#include "tessera/error.hpp"
#include "tessera/record.hpp"

namespace tessera {
namespace {

// One that takes only the id of an object besides.
void call_with_id(tsr_device* device, CallId id, uint64_t object) {
  RemoteCall call = remote_call(remote_device(device), id);
  call.arguments().put(object);
  call.run(nullptr);
}

void close_device(tsr_device* handle) {
  const std::unique_ptr<RemoteDevice> device(&remote_device(handle));
  remote_call(*device, CallId::kDeviceClose).run(nullptr);
  for (const auto& [id, cell] : device->timelines) device->child().forget(cell);
}

// One that the child does not know is its to refuse.
RemoteMemoryKind kind_of(const RemoteDevice& device, uint32_t memory_kind) {
  const std::vector<RemoteMemoryKind>& kinds = device.memory_kinds();
  return memory_kind < kinds.size() ? kinds[memory_kind]
                                    : RemoteMemoryKind{memory_kind, false};
}

// A buffer in shared memory where the plugin can use that, else its own.
tsr_status create_buffer(tsr_device* handle, const tsr_buffer_desc* desc,
                         tsr_error* err) {
  RemoteDevice& device = remote_device(handle);
  SharedMemory memory;
  const RemoteMemoryKind kind = kind_of(device, desc->memory_kind);
  const bool shared = kind.shared;
  if (shared) {
    Result<SharedMemory> made =
        SharedMemory::create("tessera-buffer", desc->bytes);
    if (!made.ok()) {
      return fail_call(err, TSR_RESOURCE_EXHAUSTED, TSR_RETRY_SMALLER,
                       made.status().message());
    }
    memory = std::move(*made);
  }
  {
    RemoteCall call = remote_call(device, CallId::kBufferCreate);
    call.arguments().put(desc->id);
    call.arguments().put(uint64_t{kind.child_kind});
    call.arguments().put(desc->bytes);
    call.arguments().put(uint64_t{shared ? 1u : 0u});
    if (shared) call.arguments().put_fd(memory.fd());
    const tsr_status code = call.run(err);
    if (code != TSR_OK || !shared) return code;
  }
  memory.close_fd();
  const std::lock_guard<std::mutex> lock(device.mutex);
  device.buffers.emplace(desc->id, std::move(memory));
  return TSR_OK;
}

tsr_status import_buffer(tsr_device* handle, const tsr_buffer_desc* desc,
                         uint32_t handle_type, uint64_t value, tsr_error* err) {
  if (handle_type == TSR_HANDLE_HOST_POINTER) {
    return fail_call(err, TSR_UNIMPLEMENTED, TSR_RETRY_NEVER,
                     "a host pointer means nothing to an isolated plugin");
  }
  const RemoteDevice& device = remote_device(handle);
  RemoteCall call = remote_call(device, CallId::kBufferImport);
  call.arguments().put(desc->id);
  call.arguments().put(uint64_t{kind_of(device, desc->memory_kind).child_kind});
  call.arguments().put(desc->bytes);
  call.arguments().put(uint64_t{handle_type});
  call.arguments().put_fd(static_cast<int>(value));
  return call.run(err);
}

tsr_status export_buffer(tsr_device*, uint64_t, uint32_t, tsr_error* err,
                         uint64_t*) {
  return fail_call(err, TSR_UNIMPLEMENTED, TSR_RETRY_NEVER,
                   "an isolated plugin exports no buffers");
}

tsr_status map_buffer(tsr_device* handle, uint64_t buffer, tsr_error* err,
                      void** out_memory) {
  RemoteDevice& device = remote_device(handle);
  const std::lock_guard<std::mutex> lock(device.mutex);
  const auto found = device.buffers.find(buffer);
  if (found == device.buffers.end()) {
    return fail_call(err, TSR_FAILED_PRECONDITION, TSR_RETRY_NEVER,
                     "buffer " + std::to_string(buffer) +
                         " is not in memory shared with the plugin's process");
  }
  *out_memory = found->second.data();
  return TSR_OK;
}

template <CallId Id>
tsr_status sync_buffer(tsr_device* device, uint64_t buffer, uint64_t offset,
                       uint64_t bytes, tsr_error* err) {
  RemoteCall call = remote_call(remote_device(device), Id);
  call.arguments().put(buffer);
  call.arguments().put(offset);
  call.arguments().put(bytes);
  return call.run(err);
}

void destroy_buffer(tsr_device* handle, uint64_t buffer) {
  call_with_id(handle, CallId::kBufferDestroy, buffer);
  RemoteDevice& device = remote_device(handle);
  const std::lock_guard<std::mutex> lock(device.mutex);
  device.buffers.erase(buffer);
}

tsr_status import_timeline(tsr_device* handle, uint64_t id,
                           tsr_timeline* timeline, tsr_error* err) {
  RemoteDevice& device = remote_device(handle);
  TimelinePlace place;
  if (!find_timeline_cell(timeline, &place)) {
    return fail_call(err, TSR_INVALID_ARGUMENT, TSR_RETRY_NEVER,
                     "the timeline does not lie in shared memory");
  }
  {
    RemoteCall call = remote_call(device, CallId::kTimelineImport);
    call.arguments().put(id);
    call.arguments().put(place.bytes);
    call.arguments().put(place.offset);
    call.arguments().put_fd(place.fd);
    const tsr_status code = call.run(err);
    if (code != TSR_OK) return code;
  }
  device.child().watch(timeline);
  const std::lock_guard<std::mutex> lock(device.mutex);
  device.timelines.emplace(id, timeline);
  return TSR_OK;
}

void forget_timeline(tsr_device* handle, uint64_t id) {
  call_with_id(handle, CallId::kTimelineForget, id);
  RemoteDevice& device = remote_device(handle);
  const std::lock_guard<std::mutex> lock(device.mutex);
  const auto found = device.timelines.find(id);
  if (found == device.timelines.end()) return;
  device.child().forget(found->second);
  device.timelines.erase(found);
}

tsr_status last_error(tsr_device* device, tsr_error* out_error) {
  RemoteCall call =
      remote_call(remote_device(device), CallId::kDeviceLastError);
  const tsr_status code = call.run(out_error);
  if (code != TSR_OK) return code;
  sdk::detail::copy_out(call.results().get<tsr_error>(), out_error);
  return TSR_OK;
}

tsr_status ask_device(tsr_device* device, tsr_ask* ask, tsr_error* err) {
  RemoteCall call = remote_call(remote_device(device), CallId::kDeviceAsk);
  call.arguments().put_text(ask->extension);
  call.arguments().put_text(
      std::string_view(static_cast<const char*>(ask->request),
                       static_cast<size_t>(ask->request_bytes)));
  call.arguments().put(ask->capacity);
  const tsr_status code = call.run(err);
  if (code != TSR_OK) return code;
  ask->reply_bytes = call.results().get<uint64_t>();
  const std::string reply = call.results().get_text();
  const uint64_t fits = std::min<uint64_t>(reply.size(), ask->capacity);
  if (fits != 0) std::memcpy(ask->reply, reply.data(), fits);
  return TSR_OK;
}

}  // namespace

void fill_remote_device(tsr_api& api) {
  api.device_close = close_device;
  api.device_last_error = last_error;
  api.device_ask = ask_device;
  api.timeline_import = import_timeline;
  api.timeline_forget = forget_timeline;
}

void fill_remote_buffers(tsr_api& api) {
  api.buffer_create = create_buffer;
  api.buffer_import = import_buffer;
  api.buffer_export = export_buffer;
  api.buffer_map = map_buffer;
  api.buffer_flush = sync_buffer<CallId::kBufferFlush>;
  api.buffer_invalidate = sync_buffer<CallId::kBufferInvalidate>;
  api.buffer_destroy = destroy_buffer;
}

}  // namespace tessera
