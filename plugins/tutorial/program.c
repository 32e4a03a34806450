// SPDX-License-Identifier: Apache-2.0

#include "program.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "buffers.h"
#include "check.h"
#include "error.h"
#include "kernels/linear.h"
#include "program_record.h"
#include "record.h"
#include "weight.h"

typedef struct program {
  program_record record;
  char* workspace;         // of the transients; each has its own place
  uint64_t* workspace_at;  // by tensor; UINT64_MAX: not a transient
  char** places;           // by tensor, of the step that runs
} program;

static void free_program(const tsr_device* device, program* made) {
  free_program_record(&made->record);
  if (made->workspace != NULL) {
    device->host->free(device->host->host, made->workspace);
  }
  free(made->workspace_at);
  free(made->places);
  free(made);
}

// ---- Creating

static tsr_status check_ops(tsr_device* device, const program* made,
                            tsr_error* err) {
  const program_record* record = &made->record;
  if (record->extension != NULL) {
    return fail(err, TSR_UNIMPLEMENTED, "extension %s is unknown",
                record->extension);
  }
  for (uint32_t i = 0; i < record->desc.ops.count; ++i) {
    const tsr_op_linear* op = &record->ops[i].op;
    const tsr_weight_desc* desc = NULL;
    if (op->op.kind == TSR_OP_LINEAR &&
        op->weight < record->desc.weights.count) {
      void* found = NULL;
      const tsr_status status = device_find(
          device, OBJECT_WEIGHT, record->weights[op->weight], err, &found);
      if (status != TSR_OK) return status;
      desc = &((const weight*)found)->desc;
    }
    tsr_refusal refusal;
    const tsr_status status = check_op(record, i, desc, err, &refusal);
    if (status != TSR_OK) return status;
    if (refusal.reason == TSR_REFUSED_NOTHING) continue;
    return fail(err, TSR_UNIMPLEMENTED, "op %" PRIu32 ": %s", i,
                refusal.message);
  }
  return TSR_OK;
}

static int is_transient(const tsr_tensor* tensor) {
  return (tensor->flags & TSR_TENSOR_TRANSIENT) != 0 &&
         tensor->view_of == TSR_NONE;
}

static uint64_t element_bytes(uint32_t dtype) {
  switch (dtype) {
    case TSR_F32:
    case TSR_I32:
      return 4;
    case TSR_F16:
    case TSR_BF16:
      return 2;
    case TSR_I8:
    case TSR_U8:
      return 1;
    default:
      return 8;
  }
}

static uint64_t tensor_bytes(const tsr_tensor* tensor) {
  return tensor_span(tensor) * element_bytes(tensor->dtype);
}

static tsr_status place_transients(tsr_device* device, program* made,
                                   tsr_error* err, uint64_t* out_bytes) {
  const uint32_t count = made->record.desc.tensors.count;
  made->workspace_at = calloc((size_t)count + 1, sizeof(uint64_t));
  made->places = calloc((size_t)count + 1, sizeof(char*));
  if (made->workspace_at == NULL || made->places == NULL) {
    return out_of_memory(err, count * sizeof(uint64_t));
  }
  uint64_t bytes = 0;
  for (uint32_t i = 0; i < count; ++i) {
    const tsr_tensor* tensor = &made->record.tensors[i];
    made->workspace_at[i] = UINT64_MAX;
    if (!is_transient(tensor)) continue;
    made->workspace_at[i] = bytes;
    bytes += (tensor_bytes(tensor) + 63) / 64 * 64;
  }
  *out_bytes = bytes;
  if (bytes == 0) return TSR_OK;
  made->workspace = device->host->alloc(device->host->host, bytes, 64);
  return made->workspace == NULL ? out_of_memory(err, bytes) : TSR_OK;
}

// Points a tensor at the memory that the host bound to it.
static tsr_status bind(tsr_device* device, program* made,
                       const tsr_binding* binding, tsr_error* err) {
  if (binding->tensor >= made->record.desc.tensors.count) {
    return fail(err, TSR_INVALID_ARGUMENT,
                "binding of tensor %" PRIu32 " of %" PRIu32, binding->tensor,
                made->record.desc.tensors.count);
  }
  const tsr_tensor* tensor = &made->record.tensors[binding->tensor];
  const int free_to_bind = tensor->view_of == TSR_NONE && !is_transient(tensor);
  char* place = NULL;
  if (!free_to_bind) {
    return fail(err, TSR_INVALID_ARGUMENT,
                "tensor %" PRIu32 " is a view or transient, and bound",
                binding->tensor);
  }
  const tsr_status status = buffer_at(device, binding->buffer, binding->offset,
                                      tensor_bytes(tensor), err, &place);
  if (status != TSR_OK) return status;
  if ((uintptr_t)place % element_bytes(tensor->dtype) != 0) {
    return fail(err, TSR_INVALID_ARGUMENT,
                "tensor %" PRIu32 " is bound at an unaligned address",
                binding->tensor);
  }
  made->places[binding->tensor] = place;
  return TSR_OK;
}

// The places that hold for every step: transients and the program's bindings.
static tsr_status bind_program(tsr_device* device, program* made,
                               tsr_error* err) {
  const tsr_program_desc* desc = &made->record.desc;
  for (uint32_t i = 0; i < desc->tensors.count; ++i) {
    const uint64_t at = made->workspace_at[i];
    made->places[i] = at == UINT64_MAX ? NULL : made->workspace + at;
  }
  for (uint32_t i = 0; i < desc->bindings.count; ++i) {
    const tsr_status status =
        bind(device, made, &made->record.bindings[i], err);
    if (status != TSR_OK) return status;
  }
  return TSR_OK;
}

static tsr_status require_constants(const program* made, tsr_error* err) {
  for (uint32_t i = 0; i < made->record.desc.tensors.count; ++i) {
    const tsr_tensor* tensor = &made->record.tensors[i];
    if ((tensor->flags & TSR_TENSOR_CONSTANT) == 0) continue;
    if (tensor->view_of != TSR_NONE || made->places[i] != NULL) continue;
    return fail(err, TSR_INVALID_ARGUMENT,
                "tensor %" PRIu32 " is constant and not bound", i);
  }
  return TSR_OK;
}

tsr_status program_create(tsr_device* device, const tsr_program_desc* desc,
                          tsr_error* err, tsr_program_info* out_info) {
  program* made = calloc(1, sizeof(*made));
  if (made == NULL) return out_of_memory(err, sizeof(*made));
  tsr_program_info info = {0};
  tsr_status status = read_program(desc, err, &made->record);
  if (status == TSR_OK) status = check_ops(device, made, err);
  if (status == TSR_OK) {
    status = place_transients(device, made, err, &info.workspace_bytes);
  }
  if (status == TSR_OK) status = bind_program(device, made, err);
  if (status == TSR_OK) status = require_constants(made, err);
  if (status == TSR_OK) {
    status =
        device_insert(device, OBJECT_PROGRAM, made->record.desc.id, made, err);
  }
  if (status != TSR_OK) {
    free_program(device, made);
    return status;
  }
  info.num_segments = made->record.desc.ops.count;
  copy_out(&info, sizeof(info), out_info);
  return TSR_OK;
}

tsr_status program_segment(tsr_device* device, uint64_t id, uint32_t index,
                           tsr_error* err, tsr_segment* out_segment) {
  void* found = NULL;
  const tsr_status status =
      device_find(device, OBJECT_PROGRAM, id, err, &found);
  if (status != TSR_OK) return status;
  const program* made = found;
  if (index >= made->record.desc.ops.count) {
    return fail(err, TSR_INVALID_ARGUMENT, "segment %" PRIu32 " of %" PRIu32,
                index, made->record.desc.ops.count);
  }
  tsr_segment segment = {.first_op = index, .num_ops = 1};
  snprintf(segment.kernel, sizeof(segment.kernel), "linear");
  copy_out(&segment, sizeof(segment), out_segment);
  return TSR_OK;
}

void program_destroy(tsr_device* device, uint64_t id) {
  program* made = device_remove(device, OBJECT_PROGRAM, id);
  if (made != NULL) free_program(device, made);
}

// ---- Running

static uint32_t dim_size(const tsr_dim* dim, const tsr_submission* step) {
  switch (dim->symbol) {
    case TSR_DIM_TOKENS:
      return step->num_tokens;
    case TSR_DIM_SEQS:
      return step->num_seqs;
    case TSR_DIM_SEQS_PLUS_ONE:
      return step->num_seqs + 1;
    case TSR_DIM_OUTPUTS:
      return step->num_outputs;
    default:
      return dim->max;
  }
}

// Elements of `tensor` in this step.
static uint64_t num_elements(const tsr_tensor* tensor,
                             const tsr_submission* step) {
  uint64_t elements = 1;
  for (uint32_t d = 0; d < tensor->rank; ++d) {
    elements *= dim_size(&tensor->dims[d], step);
  }
  return elements;
}

static tsr_status find_place(const program* made, uint32_t id, tsr_error* err,
                             float** out_place) {
  const tsr_tensor* tensor = &made->record.tensors[id];
  const int is_view = tensor->view_of != TSR_NONE;
  char* base = made->places[is_view ? tensor->view_of : id];
  if (base == NULL) {
    return fail(err, TSR_INVALID_ARGUMENT, "tensor %" PRIu32 " is not bound",
                id);
  }
  *out_place = (float*)(void*)base + (is_view ? tensor->view_offset : 0);
  return TSR_OK;
}

// Elements from row to row where a row has `width`: rows of [T, heads,
// head_dim] are as far apart as they are long.
static uint64_t stride_of(const tsr_tensor* tensor, uint32_t width) {
  const uint64_t stride = row_stride(tensor);
  return stride < width ? width : stride;
}

static tsr_status run_op(tsr_device* device, const program* made,
                         const tsr_op_linear* op, const tsr_submission* step,
                         tsr_error* err) {
  const program_record* record = &made->record;
  void* found = NULL;
  tsr_status status = device_find(device, OBJECT_WEIGHT,
                                  record->weights[op->weight], err, &found);
  if (status != TSR_OK) return status;
  const weight* w = found;
  const tsr_tensor* x = &record->tensors[op->x];
  linear call = {
      .M = num_elements(x, step) / w->desc.K,
      .N = w->desc.N,
      .K = w->desc.K,
      .x_stride = stride_of(x, w->desc.K),
      .codes = w->planes[0].data,
      .codes_row_bytes = w->planes[0].row_bytes,
      .weight_format = w->desc.format,
      .scales = w->planes[1].data,
      .scales_row_bytes = w->planes[1].row_bytes,
      .y_stride = stride_of(&record->tensors[op->y], w->desc.N),
  };
  float* place = NULL;
  status = find_place(made, op->x, err, &place);
  call.x = place;
  if (status == TSR_OK) status = find_place(made, op->y, err, &call.y);
  if (status == TSR_OK && op->bias != TSR_NONE) {
    status = find_place(made, op->bias, err, &place);
    call.bias = place;
  }
  if (status == TSR_OK) run_linear(device->host, &call);
  return status;
}

static tsr_status check_step(const tsr_program_desc* desc,
                             const tsr_submission* step, tsr_error* err) {
  if (step->num_tokens <= desc->max_tokens &&
      step->num_seqs <= desc->max_seqs &&
      step->num_outputs <= desc->max_outputs &&
      step->num_decode_tokens <= step->num_tokens) {
    return TSR_OK;
  }
  return fail(err, TSR_INVALID_ARGUMENT,
              "step of %" PRIu32 " tokens, %" PRIu32 " sequences, %" PRIu32
              " outputs: larger than the program",
              step->num_tokens, step->num_seqs, step->num_outputs);
}

tsr_status run_program(tsr_device* device, const tsr_submission* step,
                       const void* record, tsr_error* err) {
  void* found = NULL;
  tsr_status status =
      device_find(device, OBJECT_PROGRAM, step->program, err, &found);
  if (status != TSR_OK) return status;
  program* made = found;
  status = check_step(&made->record.desc, step, err);
  if (status == TSR_OK) status = bind_program(device, made, err);
  for (uint32_t i = 0; status == TSR_OK && i < step->bindings.count; ++i) {
    tsr_binding binding;
    memcpy(&binding, slice_at(record, &step->bindings, i), sizeof(binding));
    status = bind(device, made, &binding, err);
  }
  for (uint32_t i = 0; status == TSR_OK && i < made->record.desc.ops.count;
       ++i) {
    status = run_op(device, made, &made->record.ops[i].op, step, err);
  }
  return status;
}
