// SPDX-License-Identifier: Apache-2.0

#include "error.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static void explain(tsr_error* err, uint32_t retry, const char* format,
                    va_list arguments) {
  if (err == NULL) return;
  tsr_error value = {.retry = retry};
  vsnprintf(value.message, sizeof(value.message), format, arguments);
  copy_out(&value, sizeof(value), err);
}

tsr_status fail(tsr_error* err, tsr_status code, const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  explain(err, TSR_RETRY_NEVER, format, arguments);
  va_end(arguments);
  return code;
}

static void explain_smaller(tsr_error* err, const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  explain(err, TSR_RETRY_SMALLER, format, arguments);
  va_end(arguments);
}

tsr_status out_of_memory(tsr_error* err, uint64_t bytes) {
  explain_smaller(err, "no host memory for %" PRIu64 " bytes", bytes);
  return TSR_RESOURCE_EXHAUSTED;
}

void copy_out(const void* value, uint32_t bytes, void* out) {
  uint32_t known = 0;
  memcpy(&known, out, sizeof(known));
  if (known > bytes) known = bytes;
  if (known <= sizeof(known)) return;
  memcpy((char*)out + sizeof(known), (const char*)value + sizeof(known),
         known - sizeof(known));
}

void copy_in(const void* from, uint32_t struct_size, void* value,
             uint32_t bytes) {
  memset(value, 0, bytes);
  memcpy(value, from, struct_size < bytes ? struct_size : bytes);
}

tsr_status require_understood(const tsr_ext* chain, tsr_error* err) {
  for (const tsr_ext* ext = chain; ext != NULL; ext = ext->next) {
    if ((ext->flags & TSR_MUST_UNDERSTAND) == 0) continue;
    return fail(err, TSR_UNIMPLEMENTED, "extension %s is unknown", ext->name);
  }
  return TSR_OK;
}
