// SPDX-License-Identifier: Apache-2.0
//
// add, silu_mul, gelu and the gathers: a work-group for a part of a row.

#define PART 1024  // elements of a group

WHOLE_GROUP kernel void elementwise(global const uchar* a_base, RowPlace a,
                                    global const uchar* b_base, RowPlace b,
                                    global uchar* y_base, RowPlace y, int D,
                                    int kind) {
  const long r = get_group_id(0);
  const int begin = (int)get_group_id(1) * PART;
  const int end = min(begin + PART, D);
  for (int i = begin + (int)get_local_id(0); i < end; i += GROUP) {
    const float v = load_one(a_base + a.offset, a.dtype, r * a.stride + i);
    float other = 0.0f;
    if (kind <= MAP_SILU_MUL) {
      other = load_one(b_base + b.offset, b.dtype, r * b.stride + i);
    }
    store_one(y_base + y.offset, y.dtype, r * y.stride + i,
              map_values(kind, (float16)(v), (float16)(other)).s0);
  }
}

WHOLE_GROUP kernel void gather(global const uchar* table_base, RowPlace table,
                               global const uchar* rows_base,
                               ulong rows_offset, global uchar* y_base,
                               RowPlace y, int D, int num_rows,
                               global int* fault) {
  const long r = get_group_id(0);
  const int id = ((global const int*)(rows_base + rows_offset))[r];
  if (id < 0 || id >= num_rows) {
    report_fault(fault, FAULT_TOKEN, id);
    return;
  }
  const int begin = (int)get_group_id(1) * PART;
  const int end = min(begin + PART, D);
  for (int i = begin + (int)get_local_id(0); i < end; i += GROUP) {
    store_one(y_base + y.offset, y.dtype, r * y.stride + i,
              load_one(table_base + table.offset, table.dtype,
                       id * table.stride + i));
  }
}
