// SPDX-License-Identifier: Apache-2.0
//
// Which ops the kernels can run: the kernel table says it to the host in
// advance, this says it of one program, with the reason.

#ifndef CHECK_H
#define CHECK_H

#include "device.h"
#include "program_record.h"

// Refuses op `index` if no kernel runs it: out_refusal->reason is then not 0.
//
// Errors  INVALID_ARGUMENT if the op is malformed, whatever the device
tsr_status check_op(const program_record* program, uint32_t index,
                    const tsr_weight_desc* weight, tsr_error* err,
                    tsr_refusal* out_refusal);

// The plane of that role; zero if the weight has none.
tsr_plane find_plane(const tsr_weight_desc* weight, uint32_t role);

// Of tsr_api.
tsr_status check(tsr_device* device, const tsr_program_desc* program,
                 const tsr_array* weights, const tsr_array* kv_pools,
                 tsr_error* err, tsr_refusal* out_refusals, uint32_t capacity,
                 uint32_t stride, uint32_t* out_count);

#endif  // CHECK_H
