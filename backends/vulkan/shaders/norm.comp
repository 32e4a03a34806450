#version 460
// SPDX-License-Identifier: Apache-2.0
//
// rms_norm, layer_norm and softmax: a work-group for a row; with BLOCK_FORM that
// is a subgroup, which needs no barriers.
#extension GL_GOOGLE_include_directive : require
#include "base.glsl"
#ifdef BLOCK_FORM
#include "block.glsl"
#define WORKERS LANES
#else
#define WORKERS GROUP
#endif

#define NORM_RMS 0u
#define NORM_LAYER 1u
#define NORM_SOFTMAX 2u

layout(constant_id = 1) const uint KIND = 0u;
layout(constant_id = 2) const uint X_DTYPE = 1u;
layout(constant_id = 3) const uint Y_DTYPE = 1u;
layout(constant_id = 4) const uint WEIGHT_DTYPE = 1u;
layout(constant_id = 5) const uint BIAS_DTYPE = 0u;

struct Args {
  RowPlace x;
  RowPlace y;
  RowPlace weight;
  RowPlace bias;
  int rows;
  int width;
  float factor;  // eps; of softmax the scale
  int reserved;
};
READ_ARGS_ONCE(Args)

// ---- Over the row, in the order of the portable sum: 64 partial sums of every
// 64th value, then those 32 apart, 16 apart and so on.  An invocation has the
// partial sums lane, lane + WORKERS, ...

#define MOST_PARTS 16u
const uint PARTS = 64u / WORKERS;

float row_sum(float parts[MOST_PARTS]) {
#ifdef BLOCK_FORM
  [[unroll]] for (uint half_count = MOST_PARTS / 2u; half_count > 0u;
                  half_count /= 2u) {
    [[unroll]] for (uint i = 0u; i < half_count; ++i) {
      if (2u * half_count <= PARTS) {
        precise const float two = parts[i] + parts[i + half_count];
        parts[i] = two;
      }
    }
  }
  precise float sum = parts[0];
  [[unroll]] for (uint step = 32u; step > 0u; step /= 2u) {
    if (step < LANES) {
      sum = sum + subgroupShuffle(sum, gl_SubgroupInvocationID ^ step);
    }
  }
  return sum;
#else
  return group_sum(parts[0]);
#endif
}

float row_max(float x) {
#ifdef BLOCK_FORM
  return max_of_lanes(x);
#else
  return group_max(x);
#endif
}

#define SUM_PLAIN 0u
#define SUM_SQUARES 1u
#define SUM_EXP 2u

float scaled(int row, int i) {
  precise const float v = load_place(args.x, row, i) * args.factor;
  return v;
}

float term(int row, int i, float from, uint what) {
  if (what == SUM_EXP) {
    precise const float v = scaled(row, i) - from;
    return portable_exp(v);
  }
  precise const float v = load_place(args.x, row, i) - from;
  precise const float square = v * v;
  return what == SUM_SQUARES ? square : v;
}

// Every invocation takes every term: with a branch around them lavapipe of Mesa
// 22.3 gave wrong sums of exponentials.
float sum_of(int row, float from, uint what) {
  float parts[MOST_PARTS];
  [[unroll]] for (uint p = 0u; p < MOST_PARTS; ++p) parts[p] = 0.0;
  for (int begin = 0; begin < args.width; begin += 64) {
    [[unroll]] for (uint p = 0u; p < MOST_PARTS; ++p) {
      const int i = begin + int(p * WORKERS + gl_LocalInvocationIndex);
      if (p >= PARTS) continue;
      const float v = term(row, min(i, args.width - 1), from, what);
      precise const float sum = parts[p] + (i < args.width ? v : 0.0);
      parts[p] = sum;
    }
  }
  return row_sum(parts);
}

void normalize(int row) {
  const bool layer = KIND == NORM_LAYER;
  const float width = float(args.width);
  const float mean = layer ? divide(sum_of(row, 0.0, SUM_PLAIN), width) : 0.0;
  const float squares = divide(sum_of(row, mean, SUM_SQUARES), width);
  precise const float raised = squares + args.factor;
  const float factor = portable_rsqrt(raised);
  for (int i = int(gl_LocalInvocationIndex); i < args.width; i += int(WORKERS)) {
    precise float v = (load_place(args.x, row, i) - mean) * factor;
    v = v * load_place(args.weight, 0, i);
    if (args.bias.dtype != 0) v = v + load_place(args.bias, 0, i);
    store_place(args.y, row, i, v);
  }
}

void softmax(int row) {
  float top = -INFINITE;
  for (int i = int(gl_LocalInvocationIndex); i < args.width; i += int(WORKERS)) {
    top = max(top, scaled(row, i));
  }
  top = row_max(top);
  const float total = sum_of(row, top, SUM_EXP);
  for (int i = int(gl_LocalInvocationIndex); i < args.width; i += int(WORKERS)) {
    store_place(args.y, row, i, divide(term(row, i, top, SUM_EXP), total));
  }
}

void main() {
  args = place.v;
  args.x.dtype = int(X_DTYPE);
  args.y.dtype = int(Y_DTYPE);
  args.weight.dtype = int(WEIGHT_DTYPE);
  args.bias.dtype = int(BIAS_DTYPE);
  int row = int(gl_WorkGroupID.x);
  do {
    if (KIND == NORM_SOFTMAX) {
      softmax(row);
    } else {
      normalize(row);
    }
  } while ((row += int(gl_NumWorkGroups.x)) < args.rows);
}
