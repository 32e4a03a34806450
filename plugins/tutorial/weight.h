// SPDX-License-Identifier: Apache-2.0
//
// Weights that are read where the host has them.  A device with memory of its
// own, or a layout of its own, would pack them instead: weight_query then says
// how many bytes that takes, and the host calls the packing functions.

#ifndef WEIGHT_H
#define WEIGHT_H

#include "device.h"

typedef struct weight {
  tsr_weight_desc desc;  // its planes are the two below
  tsr_plane planes[2];   // codes, scales
} weight;

// Of tsr_api.
tsr_status weight_query(tsr_device* device, const tsr_weight_desc* desc,
                        tsr_error* err, tsr_packed_info* out_info);
tsr_status packing_begin(tsr_device* device, uint64_t id,
                         const tsr_weight_desc* desc, uint64_t buffer,
                         uint64_t offset, tsr_error* err,
                         tsr_packing** out_packing);
tsr_status packing_slice(tsr_packing* packing, uint32_t n_begin, uint32_t n_end,
                         const tsr_weight_desc* slice, tsr_error* err);
tsr_status packing_end(tsr_packing* packing, uint32_t commit, tsr_error* err);
tsr_status weight_create(tsr_device* device, uint64_t id,
                         const tsr_weight_desc* desc, uint64_t buffer,
                         uint64_t offset, tsr_error* err);
void weight_destroy(tsr_device* device, uint64_t id);

#endif  // WEIGHT_H
