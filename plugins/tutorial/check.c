// SPDX-License-Identifier: Apache-2.0

#include "check.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "error.h"

// ---- Refusals

static void refuse(tsr_refusal* out, uint32_t reason, const char* field,
                   int64_t value, int64_t nearest, const char* message) {
  if (out->reason != TSR_REFUSED_NOTHING) return;  // the first one stands
  out->reason = reason;
  out->value = value;
  out->nearest = nearest;
  snprintf(out->field, sizeof(out->field), "%s", field);
  snprintf(out->message, sizeof(out->message), "%s", message);
}

static void require_value(tsr_refusal* out, uint32_t reason, const char* field,
                          uint32_t value, uint32_t only, const char* message) {
  if (value != only) refuse(out, reason, field, value, only, message);
}

static tsr_plane plane_at(const tsr_weight_desc* weight, uint32_t index) {
  const char* place =
      (const char*)weight->planes.data + (size_t)index * weight->planes.stride;
  tsr_plane plane;
  uint32_t known = 0;
  memcpy(&known, place, sizeof(known));
  copy_in(place, known < weight->planes.stride ? known : weight->planes.stride,
          &plane, sizeof(plane));
  return plane;
}

tsr_plane find_plane(const tsr_weight_desc* weight, uint32_t role) {
  for (uint32_t i = 0; i < weight->planes.count; ++i) {
    const tsr_plane plane = plane_at(weight, i);
    if (plane.role == role) return plane;
  }
  return (tsr_plane){0};
}

static void check_weight(const tsr_weight_desc* weight, tsr_refusal* out) {
  const int is_i8 = weight->format == TSR_WEIGHT_I8;
  if (!is_i8) {
    require_value(out, TSR_REFUSED_FORMAT, "weight.format", weight->format,
                  TSR_WEIGHT_F32, "linear: weights are f32 or i8");
  }
  for (uint32_t i = 0; i < weight->planes.count; ++i) {
    const uint32_t role = plane_at(weight, i).role;
    const int known =
        role == TSR_PLANE_CODES || (is_i8 && role == TSR_PLANE_SCALE);
    if (known) continue;
    refuse(out, TSR_REFUSED_FORMAT, "plane", role, role,
           "linear: no kernel reads a plane of this role");
  }
  if (!is_i8) return;
  const tsr_plane scale = find_plane(weight, TSR_PLANE_SCALE);
  require_value(out, TSR_REFUSED_FORMAT, "scale.dtype", scale.dtype, TSR_F32,
                "linear: i8 weights need scales in f32");
  require_value(out, TSR_REFUSED_FORMAT, "scale.block_n", scale.block_n, 1,
                "linear: i8 weights have one scale for each row");
  if (scale.block_k < weight->K) {
    refuse(out, TSR_REFUSED_FORMAT, "group_size", scale.block_k, weight->K,
           "linear: i8 weights have no groups");
  }
}

static void check_epilogue(const tsr_op_linear* op, uint32_t N,
                           tsr_refusal* out) {
  const struct {
    int asked;
    const char* field;
  } fused[] = {
      {op->multiplier != TSR_NONE, "multiplier"},
      {op->residual != TSR_NONE, "residual"},
      {(op->flags & TSR_LINEAR_ACCUMULATE) != 0, "accumulate"},
      {(op->flags & TSR_LINEAR_PARTIAL) != 0, "partial"},
      {op->n_begin != 0 || (op->n_end != 0 && op->n_end != N), "n_range"},
  };
  require_value(out, TSR_REFUSED_EPILOGUE, "activation", op->activation,
                TSR_EPILOGUE_NONE, "linear: no activation function is fused");
  for (size_t i = 0; i < sizeof(fused) / sizeof(fused[0]); ++i) {
    if (!fused[i].asked) continue;
    refuse(out, TSR_REFUSED_EPILOGUE, fused[i].field, 1, 0,
           "linear: the bias alone is fused");
  }
}

// ---- Operands, whose shapes are wrong on every device

static tsr_status find_tensor(const program_record* program, uint32_t id,
                              const char* field, tsr_error* err,
                              const tsr_tensor** out) {
  if (id >= program->desc.tensors.count) {
    return fail(err, TSR_INVALID_ARGUMENT,
                "linear: %s is tensor %" PRIu32 " of %" PRIu32, field, id,
                program->desc.tensors.count);
  }
  *out = &program->tensors[id];
  return TSR_OK;
}

// Rows of `t` if its last dimensions hold `width` elements together, so that
// [T, heads, head_dim] serves as [T, K]; 0 if they do not.
static uint64_t rows_of(const tsr_tensor* t, uint64_t width) {
  const uint32_t cols = t->dims[t->rank - 1].max;
  uint64_t trailing = 1;
  uint64_t rows = 1;
  uint32_t d = t->rank;
  while (d > 0 && trailing < width) trailing *= t->dims[--d].max;
  while (d > 0) rows *= t->dims[--d].max;
  const int gaps = row_stride(t) != cols && width != cols;
  return trailing == width && !gaps ? rows : 0;
}

static tsr_status check_operands(const program_record* program,
                                 const tsr_op_linear* op,
                                 const tsr_weight_desc* weight, tsr_error* err,
                                 tsr_refusal* out) {
  const tsr_tensor* x = NULL;
  const tsr_tensor* y = NULL;
  tsr_status status = find_tensor(program, op->x, "x", err, &x);
  if (status == TSR_OK) status = find_tensor(program, op->y, "y", err, &y);
  if (status != TSR_OK) return status;
  if (weight->N == 0 || weight->K == 0) {
    return fail(err, TSR_INVALID_ARGUMENT, "linear: weight of size 0");
  }
  require_value(out, TSR_REFUSED_DTYPE, "x.dtype", x->dtype, TSR_F32,
                "linear: x is f32");
  require_value(out, TSR_REFUSED_DTYPE, "y.dtype", y->dtype, TSR_F32,
                "linear: y is f32");
  check_epilogue(op, weight->N, out);
  if (out->reason != TSR_REFUSED_NOTHING) return TSR_OK;
  const uint64_t rows = rows_of(x, weight->K);
  if (rows == 0 || rows != rows_of(y, weight->N)) {
    return fail(err, TSR_INVALID_ARGUMENT,
                "linear: x and y do not have rows of %" PRIu32 " and %" PRIu32
                " elements",
                weight->K, weight->N);
  }
  if (op->bias == TSR_NONE) return TSR_OK;
  const tsr_tensor* bias = NULL;
  status = find_tensor(program, op->bias, "bias", err, &bias);
  if (status != TSR_OK) return status;
  if (bias->dtype != TSR_F32 || bias->rank != 1 ||
      bias->dims[0].max < weight->N) {
    return fail(err, TSR_INVALID_ARGUMENT,
                "linear: bias is not f32 [%" PRIu32 "]", weight->N);
  }
  return TSR_OK;
}

tsr_status check_op(const program_record* program, uint32_t index,
                    const tsr_weight_desc* weight, tsr_error* err,
                    tsr_refusal* out_refusal) {
  const op_record* record = &program->ops[index];
  const tsr_op_linear* op = &record->op;
  *out_refusal = (tsr_refusal){.struct_size = sizeof(*out_refusal)};
  out_refusal->op = index;
  require_value(out_refusal, TSR_REFUSED_OP, "op", op->op.kind, TSR_OP_LINEAR,
                "no kernel for this op");
  if (record->extension != NULL) {
    refuse(out_refusal, TSR_REFUSED_EXTENSION, "extension", 0, 0,
           "an extension of the op is unknown");
  }
  if (out_refusal->reason != TSR_REFUSED_NOTHING) return TSR_OK;
  if (weight == NULL) {
    return fail(err, TSR_INVALID_ARGUMENT, "linear: no weight %" PRIu32,
                op->weight);
  }
  check_weight(weight, out_refusal);
  require_value(out_refusal, TSR_REFUSED_DTYPE, "act_quant", op->act_quant,
                TSR_ACT_FLOAT, "linear: x is not quantized");
  require_value(out_refusal, TSR_REFUSED_FEATURE, "determinism",
                op->op.flags & TSR_OP_PORTABLE, 0,
                "linear: no portable kernel");
  return check_operands(program, op, weight, err, out_refusal);
}

// ---- The function of the table

static void copy_refusal(const tsr_refusal* refusal, tsr_refusal* out,
                         uint32_t capacity, uint32_t stride, uint32_t index) {
  if (index >= capacity) return;
  tsr_refusal value = *refusal;
  value.struct_size = stride < sizeof(value) ? stride : sizeof(value);
  memcpy((char*)out + (size_t)index * stride, &value, value.struct_size);
}

static const tsr_weight_desc* weight_of(const tsr_array* weights,
                                        const op_record* op,
                                        tsr_weight_desc* out) {
  if (weights == NULL || op->op.op.kind != TSR_OP_LINEAR ||
      op->op.weight >= weights->count) {
    return NULL;
  }
  const char* place =
      (const char*)weights->data + (size_t)op->op.weight * weights->stride;
  copy_in(place, weights->stride, out, sizeof(*out));
  return out;
}

static tsr_status check_record_ops(const program_record* program,
                                   const tsr_array* weights, tsr_error* err,
                                   tsr_refusal* out_refusals, uint32_t capacity,
                                   uint32_t stride, uint32_t* count) {
  tsr_refusal refusal;
  for (uint32_t i = 0; i < program->desc.ops.count; ++i) {
    tsr_weight_desc weight;
    const tsr_status status =
        check_op(program, i, weight_of(weights, &program->ops[i], &weight), err,
                 &refusal);
    if (status != TSR_OK) return status;
    if (refusal.reason == TSR_REFUSED_NOTHING) continue;
    copy_refusal(&refusal, out_refusals, capacity, stride, (*count)++);
    fail(err, TSR_UNIMPLEMENTED, "op %" PRIu32 ": %s", i, refusal.message);
  }
  if (program->extension == NULL) return TSR_OK;
  refusal = (tsr_refusal){.op = TSR_NONE};
  refuse(&refusal, TSR_REFUSED_EXTENSION, "extension", 0, 0,
         "an extension of the program is unknown");
  copy_refusal(&refusal, out_refusals, capacity, stride, (*count)++);
  return TSR_OK;
}

tsr_status check(tsr_device* device, const tsr_program_desc* program,
                 const tsr_array* weights, const tsr_array* kv_pools,
                 tsr_error* err, tsr_refusal* out_refusals, uint32_t capacity,
                 uint32_t stride, uint32_t* out_count) {
  (void)device;
  (void)kv_pools;
  program_record record;
  uint32_t count = 0;
  tsr_status status = read_program(program, err, &record);
  if (status == TSR_OK) {
    status = check_record_ops(&record, weights, err, out_refusals, capacity,
                              stride, &count);
  }
  free_program_record(&record);
  if (status != TSR_OK) return status;
  *out_count = count;
  return count == 0 ? TSR_OK : TSR_UNIMPLEMENTED;
}
