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

#define VECTORS (PANELS * PANEL * 2)  // of sums

// Columns k .. k + count - 1.
typedef struct {
  int k;
  int count;
  int group;
  bool ends_group;
} Span;

// Integers and what is multiplied where it lies: columns of one group; at most
// as many as f32 sums exactly.
static Span next_span(const LinearArgs* args, int k) {
  Span span;
  span.k = k;
  span.group = k / args->group_size;
  const int end = min((span.group + 1) * args->group_size, args->K);
  span.count = min(end - k, BLOCK_COLUMNS);
  span.ends_group = k + span.count == end;
  return span;
}

// The storage column of column k.
static long storage_column(const LinearArgs* args, int k) {
  return (long)(k / args->group_size) * args->padded_group +
         k % args->group_size;
}

static Bytes tile_codes(const LinearArgs* args, Bytes weight, long t) {
  return weight + args->codes_offset + t * args->tile_bytes;
}

// Decodes n columns of one group, of two tiles or of one and zeros.
static void decode_columns(const LinearArgs* args, Bytes weight, long t,
                           int has_second, int k, int n,
                           private Factors* out) {
  const int g = k / args->group_size;
  const long at = storage_column(args, k);
  const Group first = load_group(weight, args, t, g);
  decode_tile(tile_codes(args, weight, t), at, n, &first, out);
  if (has_second) {
    const Group second = load_group(weight, args, t + 1, g);
    decode_tile(tile_codes(args, weight, t + 1), at, n, &second, out + 1);
    return;
  }
  for (int i = 0; i < n; i += STEP_COLUMNS) {
    out[2 * i / STEP_COLUMNS + 1] = (Factors)(0);
  }
}

#if !INTEGER && !DIRECT
// Columns of as many groups as there is room for: their scales are in `out`.
static Span decode_groups(const LinearArgs* args, Bytes weight, long t,
                          int has_second, int k, private Factors* out) {
  Span span = {k, 0, 0, false};
  while (k < args->K && span.count < BLOCK_COLUMNS) {
    const int begin = k / args->group_size * args->group_size;
    const int end = min(begin + args->group_size, args->K);
    int n = min(end - k, BLOCK_COLUMNS - span.count);
#if IS_NIBBLE
    if (k + n != end) n &= ~1;  // two columns share their bytes
    if (n == 0) break;
#endif
    decode_columns(args, weight, t, has_second, k, n, out + 2 * span.count);
    span.count += n;
    k += n;
  }
  return span;
}
#endif

#if INTEGER && !PAIRS
// Adds exact sums of a panel to its integers and starts them anew.
static void flush_panel(private float16* exact, private int16* integers) {
  for (int i = 0; i < PANEL * 2; ++i) {
    integers[i] += convert_int16(exact[i]);
    exact[i] = (float16)(0.0f);
  }
}
#endif

#if INTEGER && GROUPED
// Adds the integers of a group, scaled, to the sums and starts them anew.
static void end_group(const LinearArgs* args, const Group* scales, int n,
                      int biased_tiles, global const int* quant_bias,
                      private int16* integers, private float16* sums) {
  for (int i = 0; i < PANEL * 2; ++i) {
    const float16 f =
        i % 2 < biased_tiles
            ? biased(args, integers[i], n + i % 2 * TILE, quant_bias)
            : convert_float16(integers[i]);
    sums[i] = fma(f, scales[i % 2].scale, sums[i]);
    integers[i] = (int16)(0);
  }
}
#endif

// Asks for the places of y that a panel's sums will have, from column n on.
static void fetch_results(const LinearArgs* args, global uchar* y, int m,
                          int n) {
  const int bytes = args->y.dtype == TSR_F32 || args->y.dtype == TSR_I32 ? 4 : 2;
  for (int r = 0; r < PANEL; ++r) {
    global uchar* row =
        y + args->y.offset +
        ((m + r) * args->y.stride + (n - args->n_begin)) * bytes;
    for (int i = 0; i < PAIR * bytes; i += 64) fetch_line_to_write(row + i);
  }
}

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
  const int row_steps = (args.K + STEP_COLUMNS - 1) / STEP_COLUMNS;
  global const Input* panel_inputs =
      (global const Input*)(x + args.values_offset) +
      (long)first_panel * row_steps * PANEL;
#if !DIRECT
  Factors decoded[BLOCK_STEPS * 2];
#endif
  Sums products[VECTORS];
#if INTEGER && PAIRS
  private int16* integers = products;
#elif INTEGER
  int16 integers[VECTORS];
  int columns = 0;  // in products, at most EXACT_COLUMNS
#else
  private float16* sums = products;
#endif
#if INTEGER && GROUPED
  float16 sums[VECTORS];
#endif
  for (int i = 0; i < panels * PANEL * 2; ++i) {
    products[i] = (Sums)(0);
#if INTEGER && !PAIRS
    integers[i] = (int16)(0);
#endif
#if INTEGER && GROUPED
    sums[i] = (float16)(0.0f);
#endif
  }
  for (int k = 0; k < args.K;) {
#if INTEGER || DIRECT
    const Span span = next_span(&args, k);
#endif
#if DIRECT
    const long at = storage_column(&args, k) * TILE;
    Block tile = (Block)tile_codes(&args, weight, t) + at;
    Block other = (Block)tile_codes(&args, weight, t + has_second) + at;
#else
#if INTEGER
    decode_columns(&args, weight, t, has_second, k, span.count, decoded);
#else
    const Span span =
        decode_groups(&args, weight, t, has_second, k, decoded);
#endif
    Block tile = decoded;
    Block other = decoded;
#endif
#if INTEGER && !PAIRS
    columns += span.count;
    const bool flush =
        span.ends_group || columns + BLOCK_COLUMNS > EXACT_COLUMNS;
    if (flush) columns = 0;
#endif
#if INTEGER && GROUPED
    const Group scales[2] = {load_group(weight, &args, t, span.group),
                             load_group(weight, &args, t + has_second,
                                        span.group)};
    const int biased_tiles = span.group == 0 ? 1 + has_second : 0;
#endif
    const int next_k = k + span.count;
    const long next = storage_column(&args, next_k);
    for (int p = 0; p < panels; ++p) {
      fetch_codes(tile_codes(&args, weight, t), args.tile_bytes, next, p);
      if (next_k >= args.K) {
        fetch_results(&args, y, (first_panel + p) * PANEL, n);
      }
      const int at = p * PANEL * 2;
      multiply_panel(
          panel_inputs + ((long)p * row_steps + k / STEP_COLUMNS) * PANEL, tile,
          other, (span.count + STEP_COLUMNS - 1) / STEP_COLUMNS,
          products + at);
#if INTEGER && !PAIRS
      if (flush) flush_panel(products + at, integers + at);
#endif
#if INTEGER && GROUPED
      if (span.ends_group) {
        end_group(&args, scales, n, biased_tiles, quant_bias, integers + at,
                  sums + at);
      }
#endif
    }
    k = next_k;
  }
  for (int i = 0; i < panels * PANEL * 2; ++i) {
    const int m = first_panel * PANEL + i / 2;
    const int second = i % 2;
    if (m >= args.M || second > has_second) continue;
    const int column = n + second * TILE;
#if INTEGER && !GROUPED
    if (args.y.dtype == TSR_I32) {
      store_sums(&args, integers[i], m, column, y);
      continue;
    }
    float16 v = biased(&args, integers[i], column, quant_bias);
#else
    float16 v = sums[i];
#endif
    const float row_scale = INTEGER ? x[args.row_scales_offset + m] : 1.0f;
    v = apply_scales(&args, weight, v, row_scale, t + second);
    finish(&args, v, m, column, y, bias, multiplier, residual);
  }
}
