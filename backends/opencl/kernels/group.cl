// SPDX-License-Identifier: Apache-2.0
//
// For GPUs: a work-group takes a row, and its work-items meet in local memory.
// No barrier stands where only some groups come: PoCL 3.1 loses the conditions
// around it.  What has nothing to do runs loops of no turns.

#define GROUP 64  // work-items
#define WHOLE_GROUP __attribute__((reqd_work_group_size(GROUP, 1, 1)))

#if SUBGROUPS == 2  // cl_khr_subgroups
#pragma OPENCL EXTENSION cl_khr_subgroups : enable
#endif

// Every work-item comes here; NaN is passed over.
static float group_max(float value, local float* partial) {
  const int item = get_local_id(0);
  barrier(CLK_LOCAL_MEM_FENCE);
#if SUBGROUPS == 2
  const float largest = sub_group_reduce_max(value);
  if (get_sub_group_local_id() == 0) partial[get_sub_group_id()] = largest;
  barrier(CLK_LOCAL_MEM_FENCE);
  float result = partial[0];
  for (uint i = 1; i < get_num_sub_groups(); ++i) {
    result = fmax(result, partial[i]);
  }
  return result;
#else
  partial[item] = value;
  for (int step = GROUP / 2; step > 0; step /= 2) {
    barrier(CLK_LOCAL_MEM_FENCE);
    if (item < step) partial[item] = fmax(partial[item], partial[item + step]);
  }
  barrier(CLK_LOCAL_MEM_FENCE);
  return partial[0];
#endif
}

// Every work-item comes here.  In the order of tessera/portable_math.h, where
// work-item i has the sum of lane i: no sub-group may change it.
static float group_sum(float value, local float* partial) {
  const int item = get_local_id(0);
  barrier(CLK_LOCAL_MEM_FENCE);
  partial[item] = value;
  for (int step = GROUP / 2; step > 0; step /= 2) {
    barrier(CLK_LOCAL_MEM_FENCE);
    if (item < step) partial[item] = partial[item] + partial[item + step];
  }
  barrier(CLK_LOCAL_MEM_FENCE);
  return partial[0];
}

static void store_one(global uchar* base, int dtype, long element, float x) {
  if (dtype == TSR_F32) {
    ((global float*)base)[element] = x;
    return;
  }
  const float16 all = (float16)(x);
  ((global ushort*)base)[element] =
      dtype == TSR_F16 ? f32_to_f16(all).s0 : f32_to_bf16(all).s0;
}
