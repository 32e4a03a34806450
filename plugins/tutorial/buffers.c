// SPDX-License-Identifier: Apache-2.0

#include "buffers.h"

#include <inttypes.h>
#include <stdlib.h>

#include "error.h"

static void free_buffer(const tsr_device* device, buffer* made) {
  if (made->owned) device->host->free(device->host->host, made->memory);
  free(made);
}

// Stores a buffer over `memory`; with NULL over memory of the host allocator's.
static tsr_status add_buffer(tsr_device* device, const tsr_buffer_desc* from,
                             char* memory, tsr_error* err) {
  tsr_buffer_desc desc;
  copy_in(from, from->struct_size, &desc, sizeof(desc));
  tsr_status status = require_understood(desc.next, err);
  if (status != TSR_OK) return status;
  buffer* made = calloc(1, sizeof(*made));
  if (made == NULL) return out_of_memory(err, sizeof(*made));
  made->bytes = desc.bytes;
  made->memory = memory;
  if (memory == NULL) {
    made->owned = 1;
    made->memory =
        device->host->alloc(device->host->host, desc.bytes + !desc.bytes, 64);
    if (made->memory == NULL) {
      free(made);
      return out_of_memory(err, desc.bytes);
    }
  }
  status = device_insert(device, OBJECT_BUFFER, desc.id, made, err);
  if (status != TSR_OK) free_buffer(device, made);
  return status;
}

tsr_status buffer_at(tsr_device* device, uint64_t id, uint64_t offset,
                     uint64_t bytes, tsr_error* err, char** out_place) {
  void* found = NULL;
  const tsr_status status = device_find(device, OBJECT_BUFFER, id, err, &found);
  if (status != TSR_OK) return status;
  const buffer* made = found;
  if (offset > made->bytes || bytes > made->bytes - offset) {
    return fail(err, TSR_INVALID_ARGUMENT,
                "bytes %" PRIu64 " + %" PRIu64 " of a buffer of %" PRIu64,
                offset, bytes, made->bytes);
  }
  *out_place = made->memory + offset;
  return TSR_OK;
}

tsr_status buffer_create(tsr_device* device, const tsr_buffer_desc* desc,
                         tsr_error* err) {
  return add_buffer(device, desc, NULL, err);
}

static tsr_status require_host_pointer(uint32_t handle_type, tsr_error* err) {
  if (handle_type == TSR_HANDLE_HOST_POINTER) return TSR_OK;
  return fail(err, TSR_UNIMPLEMENTED, "no handles of type %" PRIu32,
              handle_type);
}

tsr_status buffer_import(tsr_device* device, const tsr_buffer_desc* desc,
                         uint32_t handle_type, uint64_t handle,
                         tsr_error* err) {
  const tsr_status status = require_host_pointer(handle_type, err);
  if (status != TSR_OK) return status;
  if (handle == 0) return fail(err, TSR_INVALID_ARGUMENT, "handle 0");
  return add_buffer(device, desc, (char*)(uintptr_t)handle, err);
}

tsr_status buffer_export(tsr_device* device, uint64_t id, uint32_t handle_type,
                         tsr_error* err, uint64_t* out_handle) {
  char* memory = NULL;
  tsr_status status = require_host_pointer(handle_type, err);
  if (status == TSR_OK) status = buffer_at(device, id, 0, 0, err, &memory);
  if (status == TSR_OK) *out_handle = (uintptr_t)memory;
  return status;
}

tsr_status buffer_map(tsr_device* device, uint64_t id, tsr_error* err,
                      void** out_memory) {
  char* memory = NULL;
  const tsr_status status = buffer_at(device, id, 0, 0, err, &memory);
  if (status == TSR_OK) *out_memory = memory;
  return status;
}

void buffer_destroy(tsr_device* device, uint64_t id) {
  buffer* made = device_remove(device, OBJECT_BUFFER, id);
  if (made != NULL) free_buffer(device, made);
}

tsr_status timeline_import(tsr_device* device, uint64_t id,
                           tsr_timeline* timeline, tsr_error* err) {
  return device_insert(device, OBJECT_TIMELINE, id, timeline, err);
}

void timeline_forget(tsr_device* device, uint64_t id) {
  (void)device_remove(device, OBJECT_TIMELINE, id);
}
