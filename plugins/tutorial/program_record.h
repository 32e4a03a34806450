// SPDX-License-Identifier: Apache-2.0
//
// A program record after its checks: plain arrays of today's structs.

#ifndef PROGRAM_RECORD_H
#define PROGRAM_RECORD_H

#include "tessera/plugin.h"

// An op; its fields past the head are those of linear if it is one.
typedef struct op_record {
  tsr_op_linear op;
  const char* extension;  // that must be understood, in the record; or NULL
} op_record;

typedef struct program_record {
  tsr_program_desc desc;
  tsr_tensor* tensors;
  op_record* ops;
  uint64_t* weights;
  tsr_binding* bindings;
  const char* extension;
} program_record;

// Copies the record's arrays.  Caller frees with free_program_record, also
// after a failure.
// Errors: INVALID_ARGUMENT for a malformed record; RESOURCE_EXHAUSTED.
tsr_status read_program(const tsr_program_desc* program, tsr_error* err,
                        program_record* out_record);
void free_program_record(program_record* record);

// Elements from a tensor's first to its last at its maxima.
uint64_t tensor_span(const tsr_tensor* tensor);
// Elements from one row to the next.
uint64_t row_stride(const tsr_tensor* tensor);

#endif  // PROGRAM_RECORD_H
