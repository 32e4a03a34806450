// SPDX-License-Identifier: Apache-2.0

#include "device.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "error.h"
#include "kernels/table.h"

static const tsr_host_services* services;

void set_host_services(const tsr_host_services* host) { services = host; }

// ---- Readable without opening the device

static const tsr_memory_kind host_memory = {
    .struct_size = sizeof(tsr_memory_kind),
    .flags = TSR_MEMORY_DEVICE | TSR_MEMORY_HOST_VISIBLE | TSR_MEMORY_COHERENT |
             TSR_MEMORY_IMPORT_HOST,
    .max_alloc_bytes = UINT64_MAX,
    .alignment = 64,  // a cache line
    .handles = TSR_HANDLE_HOST_POINTER,
};

static tsr_status require_index(uint32_t index, tsr_error* err) {
  if (index == 0) return TSR_OK;
  return fail(err, TSR_INVALID_ARGUMENT, "device %" PRIu32 " of 1", index);
}

tsr_status device_count(tsr_error* err, uint32_t* out_count) {
  (void)err;
  *out_count = 1;
  return TSR_OK;
}

tsr_status device_info(uint32_t index, tsr_error* err,
                       tsr_device_info* out_info) {
  const tsr_status status = require_index(index, err);
  if (status != TSR_OK) return status;
  const tsr_device_info info = {
      .flags = TSR_DEVICE_SUBMIT_BLOCKS,
      .health = TSR_OK,
      .clock = TSR_CLOCK_WALL,
      .name = "tutorial device",
      .driver = "none",
      .numa_node = -1,
      .max_queues = 1,
      .memory_kinds = {&host_memory, 1, sizeof(host_memory)},
  };
  copy_out(&info, sizeof(info), out_info);
  return TSR_OK;
}

tsr_status device_kernels(uint32_t index, tsr_error* err,
                          tsr_array* out_kernels) {
  const tsr_status status = require_index(index, err);
  if (status == TSR_OK) *out_kernels = kernel_table();
  return status;
}

// ---- Open devices

tsr_status device_open(uint32_t index, const tsr_array* options, tsr_error* err,
                       tsr_device** out_device) {
  const tsr_status status = require_index(index, err);
  if (status != TSR_OK) return status;
  if (options != NULL && options->count != 0) {
    const tsr_option_value* option = options->data;
    return fail(err, TSR_INVALID_ARGUMENT, "no option %s", option->key);
  }
  tsr_device* device = calloc(1, sizeof(*device));
  if (device == NULL) return out_of_memory(err, sizeof(*device));
  device->host = services;
  pthread_mutex_init(&device->mutex, NULL);
  *out_device = device;
  return TSR_OK;
}

void device_close(tsr_device* device) {
  // The host has destroyed all objects before.
  for (int kind = 0; kind < OBJECT_KINDS; ++kind) {
    id_table_free(&device->objects[kind]);
  }
  pthread_mutex_destroy(&device->mutex);
  free(device);
}

// ---- Objects

static const char* const object_names[OBJECT_KINDS] = {"buffer", "weight",
                                                       "program", "timeline"};

tsr_status device_insert(tsr_device* device, int kind, uint64_t id,
                         void* object, tsr_error* err) {
  pthread_mutex_lock(&device->mutex);
  const int result = id_table_insert(&device->objects[kind], id, object);
  pthread_mutex_unlock(&device->mutex);
  if (result == ID_NO_MEMORY) return out_of_memory(err, sizeof(id_entry));
  if (result == ID_INSERTED) return TSR_OK;
  return fail(err, TSR_INVALID_ARGUMENT, "%s id %" PRIu64 " is 0 or taken",
              object_names[kind], id);
}

tsr_status device_find(tsr_device* device, int kind, uint64_t id,
                       tsr_error* err, void** out_object) {
  pthread_mutex_lock(&device->mutex);
  void* object = id_table_find(&device->objects[kind], id);
  pthread_mutex_unlock(&device->mutex);
  if (object == NULL) {
    return fail(err, TSR_NOT_FOUND, "%s %" PRIu64 " does not exist",
                object_names[kind], id);
  }
  *out_object = object;
  return TSR_OK;
}

void* device_remove(tsr_device* device, int kind, uint64_t id) {
  pthread_mutex_lock(&device->mutex);
  void* object = id_table_remove(&device->objects[kind], id);
  pthread_mutex_unlock(&device->mutex);
  return object;
}
