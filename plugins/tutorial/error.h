// SPDX-License-Identifier: Apache-2.0
//
// How a function of the table explains a failure to the host.

#ifndef ERROR_H
#define ERROR_H

#include "tessera/types.h"

// Explains the failure in `err`, which may be NULL or of another age, and
// returns `code`.
tsr_status fail(tsr_error* err, tsr_status code, const char* format, ...)
    __attribute__((format(printf, 3, 4)));

// TSR_RESOURCE_EXHAUSTED: a smaller request may succeed.
tsr_status out_of_memory(tsr_error* err, uint64_t bytes);

// Copies a struct of `bytes` bytes to the host's `out`, as far as the host
// knows it: `out` begins with its owner's struct_size, which stays.
void copy_out(const void* value, uint32_t bytes, void* out);

// Reads a struct that the host passed in: what it does not know is zero.
void copy_in(const void* from, uint32_t struct_size, void* value,
             uint32_t bytes);

// UNIMPLEMENTED if an extension of the chain must be understood: we know none.
tsr_status require_understood(const tsr_ext* chain, tsr_error* err);

#endif  // ERROR_H
