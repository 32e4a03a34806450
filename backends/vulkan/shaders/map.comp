#version 460
// SPDX-License-Identifier: Apache-2.0
//
// add, silu_mul, gelu and the gathers: a work-group for a row.
#extension GL_GOOGLE_include_directive : require
#include "base.glsl"

#define MAP_ADD 0u
#define MAP_SILU_MUL 1u
#define MAP_GELU_ERF 2u
#define MAP_GELU_TANH 3u
#define MAP_GATHER 4u

layout(constant_id = 1) const uint KIND = 0u;
layout(constant_id = 2) const uint A_DTYPE = 1u;
layout(constant_id = 3) const uint B_DTYPE = 0u;
layout(constant_id = 4) const uint Y_DTYPE = 1u;

struct Args {
  RowPlace a;
  RowPlace b;
  RowPlace y;
  uint64_t ids;
  uint64_t fault;
  int rows;
  int width;
  int table_rows;
  int reserved;
};
READ_ARGS_ONCE(Args)

float mapped(float a, int row, int i) {
  if (KIND == MAP_SILU_MUL) {
    precise const float y = portable_silu(a) * load_place(args.b, row, i);
    return y;
  }
  if (KIND == MAP_GELU_ERF) return portable_gelu_erf(a);
  if (KIND == MAP_GELU_TANH) return portable_gelu_tanh(a);
  if (KIND == MAP_ADD) {
    precise const float y = a + load_place(args.b, row, i);
    return y;
  }
  return a;
}

void main() {
  args = place.v;
  args.a.dtype = int(A_DTYPE);
  args.b.dtype = int(B_DTYPE);
  args.y.dtype = int(Y_DTYPE);
  const int lane = int(gl_LocalInvocationIndex);
  int row = int(gl_WorkGroupID.x);
  do {
    int from = row;
    if (KIND == MAP_GATHER) {
      from = I32s(args.ids).v[row];
      if (from < 0 || from >= args.table_rows) {
        if (lane == 0) report_fault(args.fault, FAULT_TOKEN, from);
        continue;
      }
    }
    for (int i = lane; i < args.width; i += int(GROUP)) {
      store_place(args.y, row, i,
                  mapped(load_place(args.a, from, i), row, i));
    }
  } while ((row += int(gl_NumWorkGroups.x)) < args.rows);
}
