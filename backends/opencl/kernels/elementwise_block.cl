// SPDX-License-Identifier: Apache-2.0
//
// add, silu_mul, gelu and the gathers: one work-item for a row.

static int lanes_left(int width, int i) { return min(width - i, 16); }

ONE_ITEM kernel void elementwise(global const uchar* a_base, RowPlace a,
                                 global const uchar* b_base, RowPlace b,
                                 global uchar* y_base, RowPlace y, int D,
                                 int kind) {
  const long r = get_global_id(0);
  for (int i = 0; i < D; i += 16) {
    const int n = lanes_left(D, i);
    const float16 v = load_row(a_base + a.offset, a.dtype, r * a.stride + i, n);
    float16 other = (float16)(0.0f);
    if (kind <= MAP_SILU_MUL) {
      other = load_row(b_base + b.offset, b.dtype, r * b.stride + i, n);
    }
    store_row(y_base + y.offset, y.dtype, r * y.stride + i, n,
              map_values(kind, v, other));
  }
}

ONE_ITEM kernel void gather(global const uchar* table_base, RowPlace table,
                            global const uchar* rows_base, ulong rows_offset,
                            global uchar* y_base, RowPlace y, int D,
                            int num_rows, global int* fault) {
  const long r = get_global_id(0);
  const int id = ((global const int*)(rows_base + rows_offset))[r];
  if (id < 0 || id >= num_rows) {
    report_fault(fault, FAULT_TOKEN, id);
    return;
  }
  for (int i = 0; i < D; i += 16) {
    const int n = lanes_left(D, i);
    store_row(y_base + y.offset, y.dtype, r * y.stride + i, n,
              load_row(table_base + table.offset, table.dtype,
                       id * table.stride + i, n));
  }
}
