// SPDX-License-Identifier: Apache-2.0
//
// The form for drivers that run shaders on a CPU: a work-group is one subgroup
// of LANES invocations, which computes a block by itself.  Such a driver makes
// vectors of a subgroup's values.  It reads texels and shuffles by constants with
// vector code, but loads from addresses one invocation at a time.

#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_shuffle : require

layout(local_size_x_id = 30) in;
layout(constant_id = 30) const uint LANES = 8u;

int lane_index() { return int(gl_SubgroupInvocationID); }

// Value `i` of a block of consecutive ones, of which texel t holds four and lane
// l has read texel t * LANES + l.
#define BLOCK_TEXEL(i) ((i) / (4u * LANES))
#define BLOCK_LANE(i) ((i) % (4u * LANES) / 4u)
uint block_value(uvec4 texel, uint i) {
  return subgroupShuffle(texel[i % 4u], BLOCK_LANE(i));
}
