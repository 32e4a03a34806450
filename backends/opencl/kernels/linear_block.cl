// SPDX-License-Identifier: Apache-2.0
//
// The form for devices whose work-items are threads of a CPU: one work-item
// computes a block of y by itself, in vectors of 16 columns.

// ---- One row ------------------------------------------------------------------

// How far ahead of the loads memory is asked for: a page or two, where the
// hardware's own looking ahead ends.
#define AHEAD 2048

// Sum of x[i] * w over columns from storage column `at`; `n` columns.
static float16 dot_span(Bytes tile, long at, global const float* x, int n,
                        const Group* group) {
  float16 a0 = (float16)(0.0f);
  float16 a1 = a0;
  float16 a2 = a0;
  float16 a3 = a0;
  int i = 0;
#if IS_NIBBLE
  float16 low;
  float16 high;
  // Steps of a pointer: from an index, compilers make loads of parts.
  Bytes pairs = tile + (at >> 1) * TILE;
  for (; i + 4 <= n; i += 4) {
    fetch_line(pairs + AHEAD);
    load_pair(pairs, 0, &low, &high);
    a0 = fma((float16)(x[i]), factor_of(low, group), a0);
    a1 = fma((float16)(x[i + 1]), factor_of(high, group), a1);
    load_pair(pairs, 1, &low, &high);
    a2 = fma((float16)(x[i + 2]), factor_of(low, group), a2);
    a3 = fma((float16)(x[i + 3]), factor_of(high, group), a3);
    pairs += 2 * TILE;
  }
  for (; i < n; i += 2) {
    load_pair(pairs, 0, &low, &high);
    a0 = fma((float16)(x[i]), factor_of(low, group), a0);
    if (i + 1 < n) a1 = fma((float16)(x[i + 1]), factor_of(high, group), a1);
    pairs += TILE;
  }
#else
  for (; i + 4 <= n; i += 4) {
    a0 = fma((float16)(x[i]), factor_of(load_codes(tile, at + i), group), a0);
    a1 = fma((float16)(x[i + 1]),
             factor_of(load_codes(tile, at + i + 1), group), a1);
    a2 = fma((float16)(x[i + 2]),
             factor_of(load_codes(tile, at + i + 2), group), a2);
    a3 = fma((float16)(x[i + 3]),
             factor_of(load_codes(tile, at + i + 3), group), a3);
  }
  for (; i < n; ++i) {
    a0 = fma((float16)(x[i]), factor_of(load_codes(tile, at + i), group), a0);
  }
#endif
  return (a0 + a1) + (a2 + a3);
}

#if INTEGER
static int16 dot_group(Bytes tile, long at, global const float* x, int n,
                       const Group* group) {
  int16 sum = (int16)(0);
  for (int i = 0; i < n; i += EXACT_COLUMNS) {
    sum += convert_int16(
        dot_span(tile, at + i, x + i, min(n - i, EXACT_COLUMNS), group));
  }
  return sum;
}
#endif

ONE_ITEM kernel void linear_row(global const uchar* weight,
                                global const float* x, LinearArgs args,
                                global uchar* y, global const uchar* bias,
                                global const uchar* multiplier,
                                global const uchar* residual,
                                global const int* quant_bias) {
  const long t = args.n_begin / TILE + get_global_id(0);
  const int n = (int)t * TILE;
  Bytes tile = weight + args.codes_offset + t * args.tile_bytes;
  global const float* row = x + args.values_offset;
  float16 sum = (float16)(0.0f);
#if INTEGER
  int16 integers = (int16)(0);
#endif
  for (int g = 0; g < args.num_groups; ++g) {
    const Group group = load_group(weight, &args, t, g);
    const int k = g * args.group_size;
    const int count = min(args.group_size, args.K - k);
    const long at = (long)g * args.padded_group;
#if INTEGER
    integers = dot_group(tile, at, row + k, count, &group);
#if GROUPED
    const float16 f = g == 0 ? biased(&args, integers, n, quant_bias)
                             : convert_float16(integers);
    sum = fma(f, group.scale, sum);
#endif
#elif HAS_MIN
    sum = sum + dot_span(tile, at, row + k, count, &group);
#else
    sum = fma(dot_span(tile, at, row + k, count, &group), group.scale, sum);
#endif
  }
#if INTEGER && !GROUPED
  if (args.y.dtype == TSR_I32) {
    store_sums(&args, integers, 0, n, y);
    return;
  }
  sum = biased(&args, integers, n, quant_bias);
#endif
  const float row_scale = INTEGER ? x[args.row_scales_offset] : 1.0f;
  sum = apply_scales(&args, weight, sum, row_scale, t);
  finish(&args, sum, 0, n, y, bias, multiplier, residual);
}

// ---- Many rows ------------------------------------------------------------------

#define PANEL 8           // rows of x side by side
#define PANELS 8          // panels of a work-item
#define PAIR (2 * TILE)   // columns of y of a work-item
#define BLOCK_COLUMNS 128  // of W that are decoded at once: 16 KiB, half of L1

// Decodes `n` columns of two tiles to [n][PAIR].
static void decode_span(Bytes tile, ulong tile_bytes, int has_second, long at,
                        int n, const Group* groups, private float* out) {
  for (int half_index = 0; half_index < 2; ++half_index) {
    Bytes codes = tile + half_index * tile_bytes;
    private float* place = out + half_index * TILE;
    const Group* group = groups + half_index;
    if (half_index == 1 && !has_second) {
      for (int i = 0; i < n; ++i) vstore16((float16)(0.0f), 2 * i, place);
      continue;
    }
#if IS_NIBBLE
    for (int i = 0; i < n; i += 2) {
      float16 low;
      float16 high;
      load_pair(codes, (at + i) >> 1, &low, &high);
      low = factor_of(low, group);
      high = factor_of(high, group);
#if !INTEGER && !HAS_MIN
      low = low * group->scale;
      high = high * group->scale;
#endif
      vstore16(low, 2 * i, place);
      if (i + 1 < n) vstore16(high, 2 * i + 2, place);
    }
#else
    for (int i = 0; i < n; ++i) {
      float16 w = factor_of(load_codes(codes, at + i), group);
#if !INTEGER && !HAS_MIN && SCALE_BITS != 0
      w = w * group->scale;
#endif
      vstore16(w, 2 * i, place);
    }
#endif
  }
}

// Rows whose sums are in registers at once: 16 registers of sums for vectors of
// 16 (AVX-512 has 32), 8 for shorter ones (others have 16 in all).
#ifndef WIDTH
#define WIDTH 16
#endif
#if WIDTH >= 16
#define EACH_ROW(F) F(0) F(1) F(2) F(3) F(4) F(5) F(6) F(7)
#define ROWS_AT_ONCE 8
#elif WIDTH == 8
#define EACH_ROW(F) F(0) F(1)
#define ROWS_AT_ONCE 2
#else
#define EACH_ROW(F) F(0)
#define ROWS_AT_ONCE 1
#endif
#define START_ROW(r) \
  float16 a##r = vload16(2 * (first + r), sums); \
  float16 b##r = vload16(2 * (first + r) + 1, sums);
#define ADD_PRODUCTS(r) \
  a##r = fma((float16)(row[r]), w0, a##r); \
  b##r = fma((float16)(row[r]), w1, b##r);
#define STORE_ROW(r) \
  vstore16(a##r, 2 * (first + r), sums); \
  vstore16(b##r, 2 * (first + r) + 1, sums);

// sums[PANEL][PAIR] += products of a panel with n decoded columns.
static void multiply_panel(global const float* panel, private const float* w,
                           int n, private float* sums) {
  for (int first = 0; first < PANEL; first += ROWS_AT_ONCE) {
    EACH_ROW(START_ROW)
    for (int k = 0; k < n; ++k) {
      global const float* row = panel + k * PANEL + first;
      const float16 w0 = vload16(2 * k, w);
      const float16 w1 = vload16(2 * k + 1, w);
      EACH_ROW(ADD_PRODUCTS)
    }
    EACH_ROW(STORE_ROW)
  }
}

// Asks for part `p` of the codes of two tiles from storage column `at` on, which
// the next block decodes.
static void fetch_codes(Bytes tile, ulong tile_bytes, long at, int p) {
  const int bytes = BLOCK_COLUMNS * CODE_BYTES / PANELS;
  Bytes codes = tile + at * CODE_BYTES + p * bytes;
  for (int i = 0; i < bytes; i += 64) {
    fetch_line(codes + i);
    fetch_line(codes + tile_bytes + i);
  }
}

// Columns k .. k + count - 1, all of one group unless scales are in the decoded
// weights already.
typedef struct {
  int k;
  int count;
  int group;
  bool ends_group;
} Span;

#if INTEGER
// Columns of one group; at most as many as f32 sums exactly.
static Span decode_next(const LinearArgs* args, Bytes weight, long t,
                        int has_second, int k, private float* out) {
  Span span;
  span.k = k;
  span.group = k / args->group_size;
  const int begin = span.group * args->group_size;
  const int end = min(begin + args->group_size, args->K);
  span.count = min(end - k, BLOCK_COLUMNS);
  span.ends_group = k + span.count == end;
  Group groups[2];
  groups[0] = load_group(weight, args, t, span.group);
  groups[1] = load_group(weight, args, t + has_second, span.group);
  decode_span(weight + args->codes_offset + t * args->tile_bytes,
              args->tile_bytes, has_second,
              (long)span.group * args->padded_group + (k - begin), span.count,
              groups, out);
  return span;
}
#else
static Span decode_next(const LinearArgs* args, Bytes weight, long t,
                        int has_second, int k, private float* out) {
  Span span;
  span.k = k;
  span.count = 0;
  span.ends_group = false;
  while (k < args->K && span.count < BLOCK_COLUMNS) {
    const int g = k / args->group_size;
    const int begin = g * args->group_size;
    const int end = min(begin + args->group_size, args->K);
    int n = min(end - k, BLOCK_COLUMNS - span.count);
#if IS_NIBBLE
    if (k + n != end) n &= ~1;  // two columns share their bytes
    if (n == 0) break;
#endif
    Group groups[2];
    groups[0] = load_group(weight, args, t, g);
    groups[1] = load_group(weight, args, t + has_second, g);
    decode_span(weight + args->codes_offset + t * args->tile_bytes,
                args->tile_bytes, has_second,
                (long)g * args->padded_group + (k - begin), n, groups,
                out + span.count * PAIR);
    span.count += n;
    k += n;
  }
  span.group = 0;
  return span;
}
#endif

#if INTEGER
// Adds exact sums of a panel to its integers and starts them anew.
static void flush_panel(private float* exact, private int* integers) {
  for (int i = 0; i < PANEL * 2; ++i) {
    vstore16(vload16(i, integers) + convert_int16(vload16(i, exact)), i,
             integers);
    vstore16((float16)(0.0f), i, exact);
  }
}
#endif

#if INTEGER && GROUPED
// Adds the integers of a group, scaled, to the sums and starts them anew.
static void end_group(const LinearArgs* args, const Group* scales, int n,
                      int biased_tiles, global const int* quant_bias,
                      private int* integers, private float* sums) {
  for (int i = 0; i < PANEL * 2; ++i) {
    const int16 integer = vload16(i, integers);
    const float16 f = i % 2 < biased_tiles
                          ? biased(args, integer, n + i % 2 * TILE, quant_bias)
                          : convert_float16(integer);
    vstore16(fma(f, scales[i % 2].scale, vload16(i, sums)), i, sums);
    vstore16((int16)(0), i, integers);
  }
}
#endif

ONE_ITEM kernel void linear_rows(global const uchar* weight,
                                 global const float* x, LinearArgs args,
                                 global uchar* y, global const uchar* bias,
                                 global const uchar* multiplier,
                                 global const uchar* residual,
                                 global const int* quant_bias) {
  const long t = args.n_begin / TILE + 2 * (long)get_global_id(0);
  const int n = (int)t * TILE;
  const int has_second = n + TILE < args.n_end;
  const int first_panel = (int)get_global_id(1) * PANELS;
  const int panels = min(PANELS, (args.M + PANEL - 1) / PANEL - first_panel);
  float decoded[BLOCK_COLUMNS * PAIR];
  float sums[PANELS * PANEL * PAIR];
#if INTEGER
  float exact[PANELS * PANEL * PAIR];  // of `columns`, at most EXACT_COLUMNS
  int integers[PANELS * PANEL * PAIR];
  int columns = 0;
#endif
  for (int i = 0; i < panels * PANEL * 2; ++i) {
    vstore16((float16)(0.0f), i, sums);
#if INTEGER
    vstore16((float16)(0.0f), i, exact);
    vstore16((int16)(0), i, integers);
#endif
  }
  for (int k = 0; k < args.K;) {
    const Span span = decode_next(&args, weight, t, has_second, k, decoded);
#if INTEGER
    columns += span.count;
    const bool flush =
        span.ends_group || columns + BLOCK_COLUMNS > EXACT_COLUMNS;
    if (flush) columns = 0;
#if GROUPED
    const Group scales[2] = {load_group(weight, &args, t, span.group),
                             load_group(weight, &args, t + has_second,
                                        span.group)};
    const int biased_tiles = span.group == 0 ? 1 + has_second : 0;
#endif
#endif
    const long next = (long)(k + span.count) / args.group_size *
                          args.padded_group +
                      (k + span.count) % args.group_size;
    for (int p = 0; p < panels; ++p) {
      fetch_codes(weight + args.codes_offset + t * args.tile_bytes,
                  args.tile_bytes, next, p);
      global const float* panel =
          x + args.values_offset +
          ((long)(first_panel + p) * args.K + span.k) * PANEL;
      const int at = p * PANEL * PAIR;
#if INTEGER
      multiply_panel(panel, decoded, span.count, exact + at);
      if (flush) flush_panel(exact + at, integers + at);
#if GROUPED
      if (span.ends_group) {
        end_group(&args, scales, n, biased_tiles, quant_bias, integers + at,
                  sums + at);
      }
#endif
#else
      float products[PANEL * PAIR];
      for (int i = 0; i < PANEL * 2; ++i) {
        vstore16((float16)(0.0f), i, products);
      }
      multiply_panel(panel, decoded, span.count, products);
      for (int i = 0; i < PANEL * 2; ++i) {
        vstore16(vload16(i, sums + at) + vload16(i, products), i, sums + at);
      }
#endif
    }
    k += span.count;
  }
  for (int i = 0; i < panels * PANEL * 2; ++i) {
    const int m = first_panel * PANEL + i / 2;
    const int second = i % 2;
    if (m >= args.M || second > has_second) continue;
    const int column = n + second * TILE;
#if INTEGER && !GROUPED
    if (args.y.dtype == TSR_I32) {
      store_sums(&args, vload16(i, integers), m, column, y);
      continue;
    }
    float16 v = biased(&args, vload16(i, integers), column, quant_bias);
#else
    float16 v = vload16(i, sums);
#endif
    const float row_scale = INTEGER ? x[args.row_scales_offset + m] : 1.0f;
    v = apply_scales(&args, weight, v, row_scale, t + second);
    finish(&args, v, m, column, y, bias, multiplier, residual);
  }
}
