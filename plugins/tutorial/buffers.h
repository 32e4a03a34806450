// SPDX-License-Identifier: Apache-2.0
//
// Buffers in host memory, and timelines, which are the host's.

#ifndef BUFFERS_H
#define BUFFERS_H

#include "device.h"

typedef struct buffer {
  char* memory;
  uint64_t bytes;
  int owned;  // 0: imported, the host's
} buffer;

// The address of bytes offset .. offset + bytes - 1 of a buffer.
// Errors: NOT_FOUND; INVALID_ARGUMENT if they are not inside.
tsr_status buffer_at(tsr_device* device, uint64_t id, uint64_t offset,
                     uint64_t bytes, tsr_error* err, char** out_place);

// Of tsr_api.
tsr_status buffer_create(tsr_device* device, const tsr_buffer_desc* desc,
                         tsr_error* err);
tsr_status buffer_import(tsr_device* device, const tsr_buffer_desc* desc,
                         uint32_t handle_type, uint64_t handle, tsr_error* err);
tsr_status buffer_export(tsr_device* device, uint64_t id, uint32_t handle_type,
                         tsr_error* err, uint64_t* out_handle);
tsr_status buffer_map(tsr_device* device, uint64_t id, tsr_error* err,
                      void** out_memory);
void buffer_destroy(tsr_device* device, uint64_t id);
tsr_status timeline_import(tsr_device* device, uint64_t id,
                           tsr_timeline* timeline, tsr_error* err);
void timeline_forget(tsr_device* device, uint64_t id);

#endif  // BUFFERS_H
