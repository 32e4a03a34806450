// SPDX-License-Identifier: Apache-2.0
//
// The form for drivers that run shaders on a CPU: a work-group is one subgroup
// of LANES invocations, which computes a block by itself.  Such a driver makes
// vectors of a subgroup's values.  It reads texels and shuffles by constants with
// vector code, but loads from addresses one invocation at a time.

#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_shuffle : require

layout(local_size_x_id = 30) in;

int lane_index() { return int(gl_SubgroupInvocationID); }

// Value `i` of a block of consecutive ones, of which texel t holds four and lane
// l has read texel t * LANES + l.
#define BLOCK_TEXEL(i) ((i) / (4u * LANES))
#define BLOCK_LANE(i) ((i) % (4u * LANES) / 4u)
uint block_value(uvec4 texel, uint i) {
  return subgroupShuffle(texel[i % 4u], BLOCK_LANE(i));
}

#define MAX_LANE_BITS 7u
float max_of_lanes(float x) {
  [[unroll]] for (uint bit = 0u; bit < MAX_LANE_BITS; ++bit) {
    if (1u << bit < LANES) {
      x = max(x, subgroupShuffle(x, gl_SubgroupInvocationID ^ (1u << bit)));
    }
  }
  return x;
}

uint max_of_lanes(uint x) {
  [[unroll]] for (uint bit = 0u; bit < MAX_LANE_BITS; ++bit) {
    if (1u << bit < LANES) {
      x = max(x, subgroupShuffle(x, gl_SubgroupInvocationID ^ (1u << bit)));
    }
  }
  return x;
}

int sum_of_lanes(int x) {
  [[unroll]] for (uint bit = 0u; bit < MAX_LANE_BITS; ++bit) {
    if (1u << bit < LANES) {
      x += subgroupShuffle(x, gl_SubgroupInvocationID ^ (1u << bit));
    }
  }
  return x;
}

float sum_of_lanes(float x) {
  [[unroll]] for (uint bit = 0u; bit < MAX_LANE_BITS; ++bit) {
    if (1u << bit < LANES) {
      x += subgroupShuffle(x, gl_SubgroupInvocationID ^ (1u << bit));
    }
  }
  return x;
}
