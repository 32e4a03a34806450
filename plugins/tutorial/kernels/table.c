// SPDX-License-Identifier: Apache-2.0

#include "kernels/table.h"

// One scale for each row of the weight.
static const tsr_plane_rule int8_planes[] = {{
    .struct_size = sizeof(tsr_plane_rule),
    .role = TSR_PLANE_SCALE,
    .dtypes = 1U << TSR_F32,
    .required = 1,
    .block_n = {1, 1, 0},
    .block_k = {TSR_WHOLE, TSR_WHOLE, 0},
}};

// What all rows have in common.
#define LINEAR                                                               \
  .struct_size = sizeof(tsr_kernel_desc), .op = TSR_OP_LINEAR,               \
  .phases = TSR_PREFILL | TSR_DECODE, .determinism = TSR_DETERMINISM_RUN,    \
  .error_class = TSR_ERROR_DOT, .x_dtypes = 1U << TSR_F32,                   \
  .y_dtypes = 1U << TSR_F32, .accumulator = TSR_F32,                         \
  .act_quants = 1U << TSR_ACT_FLOAT, .activations = 1U << TSR_EPILOGUE_NONE, \
  .fused_operands = TSR_FUSES_BIAS

static const tsr_kernel_desc rows[] = {
    {LINEAR, .name = "linear_f32_f32__c", .weight_format = TSR_WEIGHT_F32},
    {LINEAR, .name = "linear_f32_i8c__c", .weight_format = TSR_WEIGHT_I8,
     .planes = {int8_planes, 1, sizeof(tsr_plane_rule)}},
};

tsr_array kernel_table(void) {
  return (tsr_array){rows, sizeof(rows) / sizeof(rows[0]), sizeof(rows[0])};
}
