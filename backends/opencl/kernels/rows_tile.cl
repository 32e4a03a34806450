// SPDX-License-Identifier: Apache-2.0
//
// rms_norm, layer_norm and softmax: a work-group for a row, a work-item for each
// lane of its sums.

WHOLE_GROUP kernel void rms_norm(global const uchar* x_base, RowPlace x,
                                 global uchar* y_base, RowPlace y,
                                 global const uchar* weight_base,
                                 RowPlace weight, int D, float eps) {
  local float partial[GROUP];
  const long r = get_group_id(0);
  global const uchar* in = x_base + x.offset;
  global const uchar* w = weight_base + weight.offset;
  float squares = 0.0f;
  for (int i = get_local_id(0); i < D; i += GROUP) {
    const float v = load_one(in, x.dtype, r * x.stride + i);
    squares = squares + v * v;
  }
  const float mean = divide(group_sum(squares, partial), (float)D);
  const float factor = portable_rsqrt(mean + eps);
  for (int i = get_local_id(0); i < D; i += GROUP) {
    const float v = load_one(in, x.dtype, r * x.stride + i) * factor;
    store_one(y_base + y.offset, y.dtype, r * y.stride + i,
              v * load_one(w, weight.dtype, i));
  }
}

WHOLE_GROUP kernel void layer_norm(global const uchar* x_base, RowPlace x,
                                   global uchar* y_base, RowPlace y,
                                   global const uchar* weight_base,
                                   RowPlace weight,
                                   global const uchar* bias_base,
                                   RowPlace bias, int D, float eps) {
  local float partial[GROUP];
  const long r = get_group_id(0);
  global const uchar* in = x_base + x.offset;
  float sum = 0.0f;
  for (int i = get_local_id(0); i < D; i += GROUP) {
    sum = sum + load_one(in, x.dtype, r * x.stride + i);
  }
  const float mean = divide(group_sum(sum, partial), (float)D);
  float squares = 0.0f;
  for (int i = get_local_id(0); i < D; i += GROUP) {
    const float d = load_one(in, x.dtype, r * x.stride + i) - mean;
    squares = squares + d * d;
  }
  const float variance = divide(group_sum(squares, partial), (float)D);
  const float factor = portable_rsqrt(variance + eps);
  for (int i = get_local_id(0); i < D; i += GROUP) {
    float v = (load_one(in, x.dtype, r * x.stride + i) - mean) * factor;
    v = v * load_one(weight_base + weight.offset, weight.dtype, i);
    if (bias.dtype != 0) {
      v = v + load_one(bias_base + bias.offset, bias.dtype, i);
    }
    store_one(y_base + y.offset, y.dtype, r * y.stride + i, v);
  }
}

// exp is computed twice, so that no f32 row has to be kept.
WHOLE_GROUP kernel void softmax(global const uchar* x_base, RowPlace x,
                                global uchar* y_base, RowPlace y, int D,
                                float scale) {
  local float partial[GROUP];
  const long r = get_group_id(0);
  global const uchar* in = x_base + x.offset;
  float largest = -INFINITY;
  for (int i = get_local_id(0); i < D; i += GROUP) {
    largest = fmax(largest, load_one(in, x.dtype, r * x.stride + i) * scale);
  }
  const float top = group_max(largest, partial);
  float sum = 0.0f;
  for (int i = get_local_id(0); i < D; i += GROUP) {
    const float t = load_one(in, x.dtype, r * x.stride + i) * scale;
    sum = sum + portable_exp((float16)(t - top)).s0;
  }
  const float total = group_sum(sum, partial);
  for (int i = get_local_id(0); i < D; i += GROUP) {
    const float t = load_one(in, x.dtype, r * x.stride + i) * scale;
    store_one(y_base + y.offset, y.dtype, r * y.stride + i,
              divide(portable_exp((float16)(t - top)).s0, total));
  }
}
