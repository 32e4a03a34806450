// SPDX-License-Identifier: Apache-2.0

#include "queue.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "buffers.h"
#include "error.h"
#include "program.h"
#include "record.h"

struct tsr_queue {
  tsr_device* device;
};

tsr_status queue_create(tsr_device* device, tsr_error* err,
                        tsr_queue** out_queue) {
  tsr_queue* queue = calloc(1, sizeof(*queue));
  if (queue == NULL) return out_of_memory(err, sizeof(*queue));
  queue->device = device;
  *out_queue = queue;
  return TSR_OK;
}

void queue_destroy(tsr_queue* queue) { free(queue); }

static tsr_status read_submission(const tsr_submission* record, tsr_error* err,
                                  tsr_submission* out) {
  uint32_t bytes = 0;
  tsr_status status = check_record(record, "submission", err, &bytes);
  if (status != TSR_OK) return status;
  copy_in(record, record->struct_size, out, sizeof(*out));
  const struct {
    const tsr_slice* slice;
    uint32_t min_stride;
    const char* name;
  } all[] = {
      {&out->waits, sizeof(tsr_point), "waits"},
      {&out->signals, sizeof(tsr_point), "signals"},
      {&out->bindings, sizeof(tsr_binding), "bindings"},
      {&out->extensions, 0, "extensions"},
  };
  for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); ++i) {
    status =
        check_slice(all[i].slice, bytes, all[i].min_stride, all[i].name, err);
    if (status != TSR_OK) return status;
  }
  if (out->extensions.count == 0) return TSR_OK;
  const char* unknown = NULL;
  status = check_extensions((const char*)record + out->extensions.offset,
                            out->extensions.bytes, err, &unknown);
  if (status != TSR_OK || unknown == NULL) return status;
  return fail(err, TSR_UNIMPLEMENTED, "extension %s is unknown", unknown);
}

static tsr_status find_timeline(tsr_device* device, const void* record,
                                const tsr_slice* points, uint32_t index,
                                tsr_error* err, tsr_point* out_point,
                                tsr_timeline** out_timeline) {
  memcpy(out_point, slice_at(record, points, index), sizeof(*out_point));
  void* found = NULL;
  const tsr_status status =
      device_find(device, OBJECT_TIMELINE, out_point->timeline, err, &found);
  *out_timeline = found;
  return status;
}

// Before anything runs: a point that names no timeline refuses the submission.
static tsr_status check_points(tsr_device* device, const void* record,
                               const tsr_slice* points, tsr_error* err) {
  tsr_status status = TSR_OK;
  for (uint32_t i = 0; status == TSR_OK && i < points->count; ++i) {
    tsr_point point;
    tsr_timeline* timeline = NULL;
    status = find_timeline(device, record, points, i, err, &point, &timeline);
  }
  return status;
}

static tsr_status run_copy(tsr_device* device, const tsr_submission* copy,
                           tsr_error* err) {
  char* to = NULL;
  char* from = NULL;
  tsr_status status =
      buffer_at(device, copy->dst, copy->dst_offset, copy->bytes, err, &to);
  if (status == TSR_OK) {
    status =
        buffer_at(device, copy->src, copy->src_offset, copy->bytes, err, &from);
  }
  if (status == TSR_OK) memmove(to, from, copy->bytes);
  return status;
}

static tsr_status run(tsr_device* device, const tsr_submission* work,
                      const void* record, tsr_error* err) {
  switch (work->kind) {
    case TSR_SUBMIT_PROGRAM:
      return run_program(device, work, record, err);
    case TSR_SUBMIT_COPY:
      return run_copy(device, work, err);
    default:
      return fail(err, TSR_UNIMPLEMENTED, "no submissions of kind %" PRIu32,
                  work->kind);
  }
}

tsr_status queue_submit(tsr_queue* queue, const tsr_submission* submission,
                        tsr_error* err) {
  tsr_device* device = queue->device;
  const tsr_host_services* host = device->host;
  tsr_submission work;
  tsr_status status = read_submission(submission, err, &work);
  if (status == TSR_OK) {
    status = check_points(device, submission, &work.waits, err);
  }
  if (status == TSR_OK) {
    status = check_points(device, submission, &work.signals, err);
  }
  if (status != TSR_OK) return status;

  tsr_point point;
  tsr_timeline* timeline = NULL;
  for (uint32_t i = 0; i < work.waits.count; ++i) {
    find_timeline(device, submission, &work.waits, i, NULL, &point, &timeline);
    const tsr_status waited =
        host->timeline_wait(host->host, timeline, point.value, UINT64_MAX);
    if (status == TSR_OK) status = waited;
  }
  // From here on a failure goes to whoever waits for the signals.
  if (status == TSR_OK) {
    tsr_error error = {.struct_size = sizeof(error)};
    status = run(device, &work, submission, &error);
    if (status != TSR_OK) host->log(host->host, TSR_LOG_ERROR, error.message);
  }
  for (uint32_t i = 0; i < work.signals.count; ++i) {
    find_timeline(device, submission, &work.signals, i, NULL, &point,
                  &timeline);
    host->timeline_signal(host->host, timeline, point.value, status);
  }
  return TSR_OK;
}
