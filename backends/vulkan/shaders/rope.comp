#version 460
// SPDX-License-Identifier: Apache-2.0
//
// rope: a work-group for a head of a token.  x and y may be the same memory.
#extension GL_GOOGLE_include_directive : require
#include "base.glsl"
#include "rotate.glsl"

layout(constant_id = 1) const uint X_DTYPE = 1u;
layout(constant_id = 2) const uint Y_DTYPE = 1u;
layout(constant_id = 3) const uint STYLE = 0u;

struct Args {
  RowPlace x;
  RowPlace y;
  RotateArgs rotate;
  uint64_t fault;
};
READ_ARGS_ONCE(Args)

void main() {
  args = place.v;
  args.x.dtype = int(X_DTYPE);
  args.y.dtype = int(Y_DTYPE);
  args.rotate.style = int(STYLE);
  const int token = int(gl_WorkGroupID.x);
  const int head = int(gl_WorkGroupID.y);
  const int lane = int(gl_LocalInvocationIndex);
  const uint64_t angles = angles_of(args.rotate, token, args.fault);
  if (angles == 0ul) return;
  const int dim = args.rotate.head_dim;
  const int64_t from = token * args.x.stride + head * dim;
  const int64_t to = token * args.y.stride + head * dim;
  // By pairs, of which each has one invocation, for y may be x.
  const int pairs = args.rotate.style == ROPE_NONE ? 0
                                                   : args.rotate.rotary_dim / 2;
  const bool is_half = args.rotate.style == ROPE_HALF;
  for (int i = lane; i < dim - pairs; i += int(GROUP)) {
    const int first = i >= pairs ? i + pairs : is_half ? i : 2 * i;
    const int second = first + (is_half ? pairs : 1);
    const float a = rotated(args.x, from, first, args.rotate, angles);
    float b = 0.0;
    if (i < pairs) b = rotated(args.x, from, second, args.rotate, angles);
    store_one(args.y.address, args.y.dtype, to + first, a);
    if (i < pairs) store_one(args.y.address, args.y.dtype, to + second, b);
  }
}
