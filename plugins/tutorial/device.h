// SPDX-License-Identifier: Apache-2.0
//
// A device: the host's services and the objects that the host made, by id.

#ifndef DEVICE_H
#define DEVICE_H

#include <pthread.h>

#include "id_table.h"
#include "tessera/plugin.h"

enum { OBJECT_BUFFER, OBJECT_WEIGHT, OBJECT_PROGRAM, OBJECT_TIMELINE };
enum { OBJECT_KINDS = 4 };

// Any thread may call the functions of a device, so the tables have a lock.
// What they name needs none: the host destroys nothing that is in use.
struct tsr_device {
  const tsr_host_services* host;
  pthread_mutex_t mutex;
  id_table objects[OBJECT_KINDS];  // by OBJECT_*
};

// What the host lends; set before any device is opened.
void set_host_services(const tsr_host_services* host);

// Stores `object` under `id`.
// Errors: INVALID_ARGUMENT if the id is 0 or taken; RESOURCE_EXHAUSTED.
tsr_status device_insert(tsr_device* device, int kind, uint64_t id,
                         void* object, tsr_error* err);
// Errors: NOT_FOUND.
tsr_status device_find(tsr_device* device, int kind, uint64_t id,
                       tsr_error* err, void** out_object);
// NULL if there is none.
void* device_remove(tsr_device* device, int kind, uint64_t id);

// Of tsr_api.
tsr_status device_count(tsr_error* err, uint32_t* out_count);
tsr_status device_info(uint32_t index, tsr_error* err,
                       tsr_device_info* out_info);
tsr_status device_kernels(uint32_t index, tsr_error* err,
                          tsr_array* out_kernels);
tsr_status device_open(uint32_t index, const tsr_array* options, tsr_error* err,
                       tsr_device** out_device);
void device_close(tsr_device* device);

#endif  // DEVICE_H
