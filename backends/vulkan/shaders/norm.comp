#version 460
// SPDX-License-Identifier: Apache-2.0
//
// rms_norm, layer_norm and softmax: a work-group for a row.
#extension GL_GOOGLE_include_directive : require
#include "base.glsl"

#define NORM_RMS 0u
#define NORM_LAYER 1u
#define NORM_SOFTMAX 2u

layout(constant_id = 1) const uint KIND = 0u;

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

// The sum of x - mean, or of its square, over the row.
float sum_of(int row, float mean, bool squared) {
  precise float sum = 0.0;
  for (int i = int(gl_LocalInvocationIndex); i < args.width; i += int(GROUP)) {
    precise const float v = load_place(args.x, row, i) - mean;
    sum = sum + (squared ? v * v : v);
  }
  return group_sum(sum);
}

void normalize(int row) {
  const bool layer = KIND == NORM_LAYER;
  const float width = float(args.width);
  const float mean = layer ? divide(sum_of(row, 0.0, false), width) : 0.0;
  const float squares = divide(sum_of(row, mean, true), width);
  precise const float raised = squares + args.factor;
  const float factor = portable_rsqrt(raised);
  for (int i = int(gl_LocalInvocationIndex); i < args.width; i += int(GROUP)) {
    precise float v = (load_place(args.x, row, i) - mean) * factor;
    v = v * load_place(args.weight, 0, i);
    if (args.bias.dtype != 0) v = v + load_place(args.bias, 0, i);
    store_place(args.y, row, i, v);
  }
}

float scaled(int row, int i) {
  precise const float v = load_place(args.x, row, i) * args.factor;
  return v;
}

void softmax(int row) {
  float top = -INFINITE;
  for (int i = int(gl_LocalInvocationIndex); i < args.width; i += int(GROUP)) {
    top = max(top, scaled(row, i));
  }
  top = group_max(top);
  precise float sum = 0.0;
  for (int i = int(gl_LocalInvocationIndex); i < args.width; i += int(GROUP)) {
    precise const float v = scaled(row, i) - top;
    sum = sum + portable_exp(v);
  }
  const float total = group_sum(sum);
  for (int i = int(gl_LocalInvocationIndex); i < args.width; i += int(GROUP)) {
    precise const float v = scaled(row, i) - top;
    store_place(args.y, row, i, divide(portable_exp(v), total));
  }
}

void main() {
  args = place.v;
  int row = int(gl_WorkGroupID.x);
  do {
    if (KIND == NORM_SOFTMAX) {
      softmax(row);
    } else {
      normalize(row);
    }
  } while ((row += int(gl_NumWorkGroups.x)) < args.rows);
}
