// SPDX-License-Identifier: Apache-2.0

#include "program_record.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "error.h"
#include "record.h"

// So that products of sizes fit 64 bits.
static const uint64_t max_elements = UINT64_C(1) << 40;

uint64_t row_stride(const tsr_tensor* tensor) {
  const uint32_t cols = tensor->dims[tensor->rank - 1].max;
  return tensor->row_stride == 0 ? cols : tensor->row_stride;
}

uint64_t tensor_span(const tsr_tensor* tensor) {
  uint64_t rows = 1;
  for (uint32_t d = 0; d + 1 < tensor->rank; ++d) rows *= tensor->dims[d].max;
  return (rows - 1) * row_stride(tensor) + tensor->dims[tensor->rank - 1].max;
}

// ---- Tensors

// The largest size that a step may give a dimension.
static uint32_t largest(const tsr_program_desc* desc, const tsr_dim* dim) {
  switch (dim->symbol) {
    case TSR_DIM_TOKENS:
      return desc->max_tokens;
    case TSR_DIM_SEQS:
      return desc->max_seqs;
    case TSR_DIM_SEQS_PLUS_ONE:
      return desc->max_seqs + (desc->max_seqs != UINT32_MAX);
    case TSR_DIM_OUTPUTS:
      return desc->max_outputs;
    default:
      return dim->max;
  }
}

static int dims_are_sound(const tsr_program_desc* desc, const tsr_tensor* t) {
  if (t->rank < 1 || t->rank > 4) return 0;
  uint64_t elements = 1;
  for (uint32_t d = 0; d < t->rank; ++d) {
    const tsr_dim* dim = &t->dims[d];
    if (dim->symbol > TSR_DIM_OUTPUTS || dim->max == 0) return 0;
    if (dim->max < largest(desc, dim)) return 0;
    elements *= dim->max;
    if (elements > max_elements) return 0;
  }
  const uint32_t cols = t->dims[t->rank - 1].max;
  if (t->row_stride == 0) return 1;
  return t->row_stride >= cols &&
         elements / cols <= max_elements / t->row_stride;
}

// A view lies in an earlier tensor of its dtype that is no view itself.
static int view_is_sound(const tsr_tensor* tensors, uint32_t id) {
  const tsr_tensor* t = &tensors[id];
  if (t->view_of == TSR_NONE) return 1;
  if (t->view_of >= id) return 0;
  const tsr_tensor* owner = &tensors[t->view_of];
  return owner->view_of == TSR_NONE && owner->dtype == t->dtype &&
         t->view_offset + tensor_span(t) <= tensor_span(owner);
}

static tsr_status read_tensors(const void* record, tsr_error* err,
                               program_record* out) {
  const tsr_slice* slice = &out->desc.tensors;
  out->tensors = calloc((size_t)slice->count + 1, sizeof(*out->tensors));
  if (out->tensors == NULL) return out_of_memory(err, slice->bytes);
  for (uint32_t i = 0; i < slice->count; ++i) {
    const void* place = slice_at(record, slice, i);
    uint32_t known = 0;
    memcpy(&known, place, sizeof(known));
    if (known > slice->stride) known = slice->stride;
    copy_in(place, known, &out->tensors[i], sizeof(*out->tensors));
    if (dims_are_sound(&out->desc, &out->tensors[i]) &&
        view_is_sound(out->tensors, i)) {
      continue;
    }
    return fail(err, TSR_INVALID_ARGUMENT, "tensor %" PRIu32 " is malformed",
                i);
  }
  return TSR_OK;
}

// ---- Ops

static tsr_status read_op(const char* place, uint32_t left, tsr_error* err,
                          op_record* out, uint32_t* out_bytes) {
  tsr_op head;
  if (left < sizeof(head)) {
    return fail(err, TSR_INVALID_ARGUMENT, "an op is truncated");
  }
  memcpy(&head, place, sizeof(head));
  if (head.struct_size < sizeof(head) || head.record_bytes % 8 != 0 ||
      head.record_bytes < head.struct_size || head.record_bytes > left) {
    return fail(err, TSR_INVALID_ARGUMENT,
                "an op of struct_size %" PRIu32 ", record_bytes %" PRIu32,
                head.struct_size, head.record_bytes);
  }
  copy_in(place, head.struct_size, &out->op, sizeof(out->op));
  const uint32_t body = (head.struct_size + 7) / 8 * 8;
  *out_bytes = head.record_bytes;
  return check_extensions(place + body, head.record_bytes - body, err,
                          &out->extension);
}

static tsr_status read_ops(const void* record, tsr_error* err,
                           program_record* out) {
  const tsr_slice* slice = &out->desc.ops;
  if (slice->count > slice->bytes / sizeof(tsr_op)) {
    return fail(err, TSR_INVALID_ARGUMENT,
                "%" PRIu32 " ops in %" PRIu32 " bytes", slice->count,
                slice->bytes);
  }
  out->ops = calloc((size_t)slice->count + 1, sizeof(*out->ops));
  if (out->ops == NULL) return out_of_memory(err, slice->bytes);
  const char* place = (const char*)record + slice->offset;
  uint32_t left = slice->bytes;
  for (uint32_t i = 0; i < slice->count; ++i) {
    uint32_t bytes = 0;
    const tsr_status status = read_op(place, left, err, &out->ops[i], &bytes);
    if (status != TSR_OK) return status;
    place += bytes;
    left -= bytes;
  }
  return TSR_OK;
}

// ---- The rest

static tsr_status check_slices(const tsr_program_desc* desc, uint32_t bytes,
                               tsr_error* err) {
  const struct {
    const tsr_slice* slice;
    uint32_t min_stride;
    const char* name;
  } all[] = {
      {&desc->tensors, 4, "tensors"},
      {&desc->ops, 0, "ops"},
      {&desc->weights, sizeof(uint64_t), "weights"},
      {&desc->kv_pools, sizeof(uint64_t), "kv_pools"},
      {&desc->bindings, sizeof(tsr_binding), "bindings"},
      {&desc->extensions, 0, "extensions"},
  };
  for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); ++i) {
    const tsr_status status =
        check_slice(all[i].slice, bytes, all[i].min_stride, all[i].name, err);
    if (status != TSR_OK) return status;
  }
  return TSR_OK;
}

static tsr_status read_ids(const void* record, tsr_error* err,
                           program_record* out) {
  const tsr_slice* weights = &out->desc.weights;
  const tsr_slice* bindings = &out->desc.bindings;
  out->weights = calloc((size_t)weights->count + 1, sizeof(*out->weights));
  out->bindings = calloc((size_t)bindings->count + 1, sizeof(*out->bindings));
  if (out->weights == NULL || out->bindings == NULL) {
    return out_of_memory(err, bindings->bytes);
  }
  for (uint32_t i = 0; i < weights->count; ++i) {
    memcpy(&out->weights[i], slice_at(record, weights, i), sizeof(uint64_t));
  }
  for (uint32_t i = 0; i < bindings->count; ++i) {
    tsr_binding* binding = &out->bindings[i];
    memcpy(binding, slice_at(record, bindings, i), sizeof(*binding));
    if (binding->tensor < out->desc.tensors.count) continue;
    return fail(err, TSR_INVALID_ARGUMENT,
                "binding of tensor %" PRIu32 " of %" PRIu32, binding->tensor,
                out->desc.tensors.count);
  }
  return TSR_OK;
}

tsr_status read_program(const tsr_program_desc* program, tsr_error* err,
                        program_record* out_record) {
  memset(out_record, 0, sizeof(*out_record));
  uint32_t bytes = 0;
  tsr_status status = check_record(program, "program", err, &bytes);
  if (status != TSR_OK) return status;
  copy_in(program, program->struct_size, &out_record->desc,
          sizeof(out_record->desc));
  const tsr_program_desc* desc = &out_record->desc;
  status = check_slices(desc, bytes, err);
  if (status == TSR_OK) status = read_tensors(program, err, out_record);
  if (status == TSR_OK) status = read_ops(program, err, out_record);
  if (status == TSR_OK) status = read_ids(program, err, out_record);
  if (status != TSR_OK || desc->extensions.count == 0) return status;
  return check_extensions((const char*)program + desc->extensions.offset,
                          desc->extensions.bytes, err, &out_record->extension);
}

void free_program_record(program_record* record) {
  free(record->tensors);
  free(record->ops);
  free(record->weights);
  free(record->bindings);
}
