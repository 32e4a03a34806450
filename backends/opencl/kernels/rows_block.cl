// SPDX-License-Identifier: Apache-2.0
//
// rms_norm, layer_norm and softmax: one work-item for a row.

static int lanes_left(int width, int i) { return min(width - i, 16); }

ONE_ITEM kernel void rms_norm(global const uchar* x_base, RowPlace x,
                              global uchar* y_base, RowPlace y,
                              global const uchar* weight_base, RowPlace weight,
                              int D, float eps) {
  const long r = get_global_id(0);
  global const uchar* in = x_base + x.offset;
  global const uchar* w = weight_base + weight.offset;
  PortableSum squares = start_sum();
  for (int i = 0; i < D; i += 16) {
    const float16 v = load_row(in, x.dtype, r * x.stride + i, lanes_left(D, i));
    squares.part[(i >> 4) & 3] += v * v;
  }
  const float mean = divide(total_of(squares), (float)D);
  const float factor = portable_rsqrt(mean + eps);
  for (int i = 0; i < D; i += 16) {
    const int n = lanes_left(D, i);
    const float16 v = load_row(in, x.dtype, r * x.stride + i, n) * factor;
    store_row(y_base + y.offset, y.dtype, r * y.stride + i, n,
              v * load_row(w, weight.dtype, i, n));
  }
}

ONE_ITEM kernel void layer_norm(global const uchar* x_base, RowPlace x,
                                global uchar* y_base, RowPlace y,
                                global const uchar* weight_base,
                                RowPlace weight, global const uchar* bias_base,
                                RowPlace bias, int D, float eps) {
  const long r = get_global_id(0);
  global const uchar* in = x_base + x.offset;
  global const uchar* w = weight_base + weight.offset;
  PortableSum sum = start_sum();
  for (int i = 0; i < D; i += 16) {
    sum.part[(i >> 4) & 3] +=
        load_row(in, x.dtype, r * x.stride + i, lanes_left(D, i));
  }
  const float mean = divide(total_of(sum), (float)D);
  PortableSum squares = start_sum();
  for (int i = 0; i < D; i += 16) {
    const int n = lanes_left(D, i);
    const float16 v = load_row(in, x.dtype, r * x.stride + i, n) - mean;
    const float16 d = first_lanes(v, n, 0.0f);
    squares.part[(i >> 4) & 3] += d * d;
  }
  const float variance = divide(total_of(squares), (float)D);
  const float factor = portable_rsqrt(variance + eps);
  for (int i = 0; i < D; i += 16) {
    const int n = lanes_left(D, i);
    float16 v = (load_row(in, x.dtype, r * x.stride + i, n) - mean) * factor;
    v = v * load_row(w, weight.dtype, i, n);
    if (bias.dtype != 0) {
      v = v + load_row(bias_base + bias.offset, bias.dtype, i, n);
    }
    store_row(y_base + y.offset, y.dtype, r * y.stride + i, n, v);
  }
}

// exp is computed twice, so that no f32 row has to be kept.
ONE_ITEM kernel void softmax(global const uchar* x_base, RowPlace x,
                             global uchar* y_base, RowPlace y, int D,
                             float scale) {
  const long r = get_global_id(0);
  global const uchar* in = x_base + x.offset;
  float16 largest = (float16)(-INFINITY);
  for (int i = 0; i < D; i += 16) {
    const int n = lanes_left(D, i);
    const float16 t = load_row(in, x.dtype, r * x.stride + i, n) * scale;
    const float16 v = first_lanes(t, n, -INFINITY);
    largest = select(largest, v, v > largest);
  }
  const float top = max_lane(largest);
  PortableSum sum = start_sum();
  for (int i = 0; i < D; i += 16) {
    const int n = lanes_left(D, i);
    const float16 t = load_row(in, x.dtype, r * x.stride + i, n) * scale;
    sum.part[(i >> 4) & 3] += first_lanes(portable_exp(t - top), n, 0.0f);
  }
  const float16 total = (float16)(total_of(sum));
  for (int i = 0; i < D; i += 16) {
    const int n = lanes_left(D, i);
    const float16 t = load_row(in, x.dtype, r * x.stride + i, n) * scale;
    store_row(y_base + y.offset, y.dtype, r * y.stride + i, n,
              divide16(portable_exp(t - top), total));
  }
}
