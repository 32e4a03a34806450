#version 460
// SPDX-License-Identifier: Apache-2.0
//
// Chains of multiplications and additions, each waiting for the one before.
#extension GL_GOOGLE_include_directive : require
#define BLOCK_FORM
#include "base.glsl"
#include "block.glsl"
#include "dot.glsl"

layout(constant_id = 1) const uint CHAINS = 1u;
layout(constant_id = 2) const uint KIND = 0u;

#define KIND_FLOAT 0u
#define KIND_INTEGER 1u
#define KIND_DOT 2u  // of four s8 with four s8
#define MAX_CHAINS 16
#define PER_STEP 8

struct Args {
  uint64_t values;  // two factors, then a result of each invocation
  int steps;
  int reserved;
};
READ_ARGS_ONCE(Args)

void main() {
  args = place.v;
  const int item = int(gl_WorkGroupID.x * LANES) + lane_index();
  float floats[MAX_CHAINS];
  int integers[MAX_CHAINS];
  const float m = F32s(args.values).v[0];
  const float p = F32s(args.values).v[1];
  [[unroll]] for (uint c = 0u; c < CHAINS; ++c) {
    integers[c] = item + int(c);
    floats[c] = float(integers[c]);
  }
  int i = 0;
  do {
    [[unroll]] for (uint j = 0u; j < PER_STEP; ++j) {
      [[unroll]] for (uint c = 0u; c < CHAINS; ++c) {
        if (KIND == KIND_FLOAT) {
          floats[c] = fma(floats[c], m, p);
        } else if (KIND == KIND_INTEGER) {
          integers[c] = integers[c] * floatBitsToInt(m) + floatBitsToInt(p);
        } else {
          integers[c] += dot_four(integers[c], floatBitsToInt(m));
        }
      }
    }
  } while (++i < args.steps);
  float sum = 0.0;
  [[unroll]] for (uint c = 0u; c < CHAINS; ++c) {
    sum += KIND == KIND_FLOAT ? floats[c] : float(integers[c]);
  }
  F32s(args.values).v[item + 2] = sum;
}
