// SPDX-License-Identifier: Apache-2.0

#include "kernels/table.hpp"

namespace my {
namespace {

tsr_kernel_desc add_row() {
  tsr_kernel_desc row{};
  row.struct_size = sizeof(row);
  row.op = TSR_OP_ADD;
  row.name = "add_f32__scalar";
  row.phases = TSR_PREFILL | TSR_DECODE;
  // One f32 addition has the same bits everywhere.
  row.determinism = TSR_DETERMINISM_PORTABLE;
  row.error_class = TSR_ERROR_EXACT;
  row.x_dtypes = 1U << TSR_F32;
  row.y_dtypes = 1U << TSR_F32;
  row.accumulator = TSR_F32;
  row.N = {1, 1U << 20, 1};
  return row;
}

}  // namespace

tsr_array kernel_table() {
  static const tsr_kernel_desc rows[] = {add_row()};
  return {rows, 1, sizeof(rows[0])};
}

}  // namespace my
