// SPDX-License-Identifier: Apache-2.0
//
// Checks of what lies in a record: a host may be newer, or broken, so nothing
// is read before its place is known to be inside.

#ifndef RECORD_H
#define RECORD_H

#include "tessera/ops.h"

// Checks the head of a record and stores its size.
tsr_status check_record(const void* record, const char* what, tsr_error* err,
                        uint32_t* out_bytes);

// Checks that `slice` lies in a record of `record_bytes`, its elements at least
// `min_stride` bytes apart.
tsr_status check_slice(const tsr_slice* slice, uint32_t record_bytes,
                       uint32_t min_stride, const char* what, tsr_error* err);

// Element `index` of a checked slice; it may be shorter than today's struct.
const void* slice_at(const void* record, const tsr_slice* slice,
                     uint32_t index);

// Checks the tsr_record_ext payloads in [place, place + bytes) and stores the
// first that must be understood: we know none.  NULL: there is no such.
tsr_status check_extensions(const char* place, uint32_t bytes, tsr_error* err,
                            const char** out_name);

#endif  // RECORD_H
