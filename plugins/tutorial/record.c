// SPDX-License-Identifier: Apache-2.0

#include "record.h"

#include <inttypes.h>
#include <string.h>

#include "error.h"

tsr_status check_record(const void* record, const char* what, tsr_error* err,
                        uint32_t* out_bytes) {
  uint32_t head[2];  // struct_size, record_bytes
  memcpy(head, record, sizeof(head));
  if (head[0] < sizeof(head) || head[1] < head[0]) {
    return fail(err, TSR_INVALID_ARGUMENT,
                "%s: struct_size %" PRIu32 ", record_bytes %" PRIu32, what,
                head[0], head[1]);
  }
  *out_bytes = head[1];
  return TSR_OK;
}

tsr_status check_slice(const tsr_slice* slice, uint32_t record_bytes,
                       uint32_t min_stride, const char* what, tsr_error* err) {
  if (slice->count == 0) return TSR_OK;
  const uint64_t end = (uint64_t)slice->offset + slice->bytes;
  if (slice->offset % 8 != 0 || end > record_bytes) {
    return fail(err, TSR_INVALID_ARGUMENT,
                "%s: bytes %" PRIu32 " to %" PRIu64 " of a record of %" PRIu32,
                what, slice->offset, end, record_bytes);
  }
  const uint64_t used = (uint64_t)slice->stride * slice->count;
  if (slice->stride < min_stride || used > slice->bytes) {
    return fail(err, TSR_INVALID_ARGUMENT,
                "%s: %" PRIu32 " elements, %" PRIu32 " bytes apart, in %" PRIu32
                " bytes",
                what, slice->count, slice->stride, slice->bytes);
  }
  return TSR_OK;
}

const void* slice_at(const void* record, const tsr_slice* slice,
                     uint32_t index) {
  return (const char*)record + slice->offset + (size_t)index * slice->stride;
}

tsr_status check_extensions(const char* place, uint32_t bytes, tsr_error* err,
                            const char** out_name) {
  *out_name = NULL;
  while (bytes > 0) {
    tsr_record_ext ext;
    const int whole = bytes >= sizeof(ext);
    if (whole) memcpy(&ext, place, sizeof(ext));
    if (!whole || ext.struct_size < sizeof(ext) ||
        ext.record_bytes < ext.struct_size || ext.record_bytes % 8 != 0 ||
        ext.record_bytes > bytes ||
        memchr(ext.name, 0, sizeof(ext.name)) == NULL) {
      return fail(err, TSR_INVALID_ARGUMENT, "malformed extension");
    }
    if ((ext.flags & TSR_MUST_UNDERSTAND) != 0 && *out_name == NULL) {
      *out_name = place + offsetof(tsr_record_ext, name);
    }
    place += ext.record_bytes;
    bytes -= ext.record_bytes;
  }
  return TSR_OK;
}
