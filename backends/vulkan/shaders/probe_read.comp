#version 460
// SPDX-License-Identifier: Apache-2.0
//
// Reads memory, as the products read weights.
#extension GL_GOOGLE_include_directive : require
#define BLOCK_FORM
#include "base.glsl"
#include "block.glsl"

layout(constant_id = 1) const uint TEXELS = 0u;

layout(binding = 0) uniform usamplerBuffer texels;

struct Args {
  uint64_t from;
  uint64_t result;
  int steps;  // a multiple of four, each of 16 bytes of an invocation
  int reserved;
};
READ_ARGS_ONCE(Args)

uvec4 read_at(int at) {
  if (TEXELS != 0u) return texelFetch(texels, at);
  return U32x4s(args.from).v[at];
}

void main() {
  args = place.v;
  const int lanes = int(LANES);
  int at = int(gl_WorkGroupID.x) * args.steps * lanes + lane_index();
  uvec4 a = uvec4(0u);
  uvec4 b = uvec4(0u);
  uvec4 c = uvec4(0u);
  uvec4 d = uvec4(0u);
  int i = 0;
  do {
    a ^= read_at(at);
    b ^= read_at(at + lanes);
    c ^= read_at(at + 2 * lanes);
    d ^= read_at(at + 3 * lanes);
    at += 4 * lanes;
  } while ((i += 4) < args.steps);
  a ^= b ^ c ^ d;
  U32s(args.result).v[gl_WorkGroupID.x * LANES + uint(lane_index())] =
      a.x ^ a.y ^ a.z ^ a.w;
}
