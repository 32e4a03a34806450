#version 460
// SPDX-License-Identifier: Apache-2.0
//
// rope: a work-group for a head of a token.  x and y may be the same memory.
#extension GL_GOOGLE_include_directive : require
#include "base.glsl"
#include "rotate.glsl"

struct Args {
  RowPlace x;
  RowPlace y;
  RotateArgs rotate;
  uint64_t fault;
};
READ_ARGS_ONCE(Args)

void main() {
  args = place.v;
  const int token = int(gl_WorkGroupID.x);
  const int head = int(gl_WorkGroupID.y);
  const int lane = int(gl_LocalInvocationIndex);
  const uint64_t angles = angles_of(args.rotate, token, args.fault);
  if (angles == 0ul) return;
  const int dim = args.rotate.head_dim;
  const int64_t from = token * args.x.stride + head * dim;
  const int64_t to = token * args.y.stride + head * dim;
  float values[8];
  for (int i = lane, j = 0; i < dim; i += int(GROUP), ++j) {
    values[j] = rotated(args.x, from, i, args.rotate, angles);
  }
  memoryBarrierBuffer();
  barrier();
  for (int i = lane, j = 0; i < dim; i += int(GROUP), ++j) {
    store_one(args.y.address, args.y.dtype, to + i, values[j]);
  }
}
