// SPDX-License-Identifier: Apache-2.0
//
// A program after program_create: its ops, and where its tensors lie.

#ifndef PROGRAM_H
#define PROGRAM_H

#include "device.h"

// Runs one step of a program.
// Errors: INVALID_ARGUMENT if the step does not fit the program; NOT_FOUND.
tsr_status run_program(tsr_device* device, const tsr_submission* step,
                       const void* record, tsr_error* err);

// Of tsr_api.
tsr_status program_create(tsr_device* device, const tsr_program_desc* desc,
                          tsr_error* err, tsr_program_info* out_info);
tsr_status program_segment(tsr_device* device, uint64_t id, uint32_t index,
                           tsr_error* err, tsr_segment* out_segment);
void program_destroy(tsr_device* device, uint64_t id);

#endif  // PROGRAM_H
