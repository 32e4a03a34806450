// SPDX-License-Identifier: Apache-2.0
//
// Products of rows with keys and of weights with V, in vectors of 16, by one
// work-item.

#define VECTORS ((HEAD_DIM + 15) / 16)
#define PADDED_DIM (16 * VECTORS)

// Sums that stay in registers: 16 vectors of 16 (AVX-512 has 32), 4 of them on
// shorter registers.
#ifndef WIDTH
#define WIDTH 16
#endif
#define SUMS (WIDTH >= 16 ? 16 : 4)
// Keys, or vectors of V, that all rows multiply at once.
#if ROWS * 16 <= SUMS
#define AT_ONCE 16
#elif ROWS * 8 <= SUMS
#define AT_ONCE 8
#elif ROWS * 4 <= SUMS
#define AT_ONCE 4
#elif ROWS * 2 <= SUMS
#define AT_ONCE 2
#else
#define AT_ONCE 1
#endif

#if HEAD_DIM % 16 == 0
static int lanes_of(int vector) { return 16; }
#else
static int lanes_of(int vector) { return min(HEAD_DIM - 16 * vector, 16); }
#endif

// A step reads a few hundred bytes here and there, which no CPU foresees.
static void fetch_ahead(global const uchar* rows, ulong bytes) {
  for (ulong i = 0; i < bytes; i += 64) fetch_line(rows + i);
}

static void fetch_scales(KeyStep step, KvPlace kv) {
#if KV_FORMAT == KV_I8_TOKEN
  fetch_ahead(step.block + kv.k_scale_offset + 4 * step.row, 4 * step.count);
  fetch_ahead(step.block + kv.v_scale_offset + 4 * step.row, 4 * step.count);
#endif
}

// 16 elements of a row of codes.
static float16 load_codes(global const uchar* row, int vector) {
  const int n = lanes_of(vector);
#if KV_FORMAT <= KV_BF16
  return load_row(row, KV_FORMAT, 16 * vector, n);
#else
  global const char* codes = (global const char*)row + 16 * vector;
  if (n >= 16) return convert_float16(vload16(0, codes));
  float lanes[16];
  for (int lane = 0; lane < 16; ++lane) {
    lanes[lane] = lane < n ? (float)codes[lane] : 0.0f;
  }
  return vload16(0, lanes);
#endif
}

// Halves, then quarters, then pairs of the lanes of a and of b, added up; a's
// come before b's in each part of the result.
static float16 add_halves(float16 a, float16 b) {
  return LANES(a, b, 0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23) +
         LANES(a, b, 8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30,
               31);
}
static float16 add_quarters(float16 a, float16 b) {
  return LANES(a, b, 0, 1, 2, 3, 16, 17, 18, 19, 8, 9, 10, 11, 24, 25, 26,
               27) +
         LANES(a, b, 4, 5, 6, 7, 20, 21, 22, 23, 12, 13, 14, 15, 28, 29, 30,
               31);
}
static float16 add_pairs(float16 a, float16 b) {
  return LANES(a, b, 0, 1, 16, 17, 4, 5, 20, 21, 8, 9, 24, 25, 12, 13, 28,
               29) +
         LANES(a, b, 2, 3, 18, 19, 6, 7, 22, 23, 10, 11, 26, 27, 14, 15, 30,
               31);
}
static float16 add_lanes(float16 a, float16 b) {
  return LANES(a, b, 0, 16, 2, 18, 4, 20, 6, 22, 8, 24, 10, 26, 12, 28, 14,
               30) +
         LANES(a, b, 1, 17, 3, 19, 5, 21, 7, 23, 9, 25, 11, 27, 13, 29, 15,
               31);
}

// Lane i is the sum of v[i], of 16.
static float16 sum_each(private const float16* v) {
  float16 h[8];
  float16 q[4];
#pragma unroll
  for (int i = 0; i < 8; ++i) h[i] = add_halves(v[i], v[i + 8]);
#pragma unroll
  for (int i = 0; i < 4; ++i) q[i] = add_quarters(h[i], h[i + 4]);
  return add_lanes(add_pairs(q[0], q[2]), add_pairs(q[1], q[3]));
}

// products[r][key]: of each row of q with up to KEYS keys of one block, lanes
// past `count` undefined.  `next` is where as many keys are read after these.
static void multiply_keys(global const uchar* codes, KvPlace kv, int count,
                          private const float* q, private float* products,
                          global const uchar* next) {
  for (int first = 0; first < count; first += AT_ONCE) {
    fetch_ahead(next + first * kv.row_bytes, AT_ONCE * kv.row_bytes);
    float16 sums[16];
#pragma unroll
    for (int i = 0; i < 16; ++i) sums[i] = (float16)(0.0f);
    for (int v = 0; v < VECTORS; ++v) {
      float16 k[AT_ONCE];
#pragma unroll
      for (int i = 0; i < AT_ONCE; ++i) {
        k[i] = load_codes(codes + min(first + i, count - 1) * kv.row_bytes, v);
      }
#pragma unroll
      for (int r = 0; r < ROWS; ++r) {
        const float16 x = vload16(r * VECTORS + v, q);
#pragma unroll
        for (int i = 0; i < AT_ONCE; ++i) {
          sums[r * AT_ONCE + i] = fma(x, k[i], sums[r * AT_ONCE + i]);
        }
      }
    }
    float lanes[16];
    vstore16(sum_each(sums), 0, lanes);
#pragma unroll
    for (int i = 0; i < ROWS * AT_ONCE; ++i) {
      products[i / AT_ONCE * KEYS + first + i % AT_ONCE] = lanes[i];
    }
  }
}

// Scores of a step; -INFINITY where a row does not see the key.
static float16 keep_visible(float16 scores, Keys seen, KeyStep step) {
  const int begin = seen.begin - step.key;
  const int end = min(seen.end - step.key, step.count);
  if (begin <= 0 && end >= KEYS) return scores;
  const int16 lane =
      (int16)(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
  return select((float16)(-INFINITY), scores, lane >= begin && lane < end);
}

// out = out * factor + sum of weights times V.  `next` is as above.
static void add_values(global const uchar* codes, KvPlace kv, int count,
                       private const float* weights,
                       private const float* factors, private float* out,
                       global const uchar* next) {
#pragma unroll
  for (int first = 0; first < VECTORS; first += AT_ONCE) {
    float16 sums[ROWS * AT_ONCE];
#pragma unroll
    for (int r = 0; r < ROWS; ++r) {
#pragma unroll
      for (int i = 0; i < AT_ONCE; ++i) {
        if (first + i >= VECTORS) break;
        sums[r * AT_ONCE + i] =
            vload16(r * VECTORS + first + i, out) * factors[r];
      }
    }
    for (int key = 0; key < count; ++key) {
      if (first == 0) fetch_ahead(next + key * kv.row_bytes, kv.row_bytes);
      float16 values[AT_ONCE];
#pragma unroll
      for (int i = 0; i < AT_ONCE; ++i) {
        if (first + i >= VECTORS) break;
        values[i] = load_codes(codes + key * kv.row_bytes, first + i);
      }
#pragma unroll
      for (int r = 0; r < ROWS; ++r) {
        const float16 weight = (float16)(weights[r * KEYS + key]);
#pragma unroll
        for (int i = 0; i < AT_ONCE; ++i) {
        if (first + i >= VECTORS) break;
          sums[r * AT_ONCE + i] =
              fma(weight, values[i], sums[r * AT_ONCE + i]);
        }
      }
    }
#pragma unroll
    for (int r = 0; r < ROWS; ++r) {
#pragma unroll
      for (int i = 0; i < AT_ONCE; ++i) {
        if (first + i >= VECTORS) break;
        vstore16(sums[r * AT_ONCE + i], r * VECTORS + first + i, out);
      }
    }
  }
}
