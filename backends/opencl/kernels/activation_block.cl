// SPDX-License-Identifier: Apache-2.0
//
// The input of a linear in panels of `panel` rows side by side, [K][panel], or
// of 8 rows of pairs of s16, [(K + 1) / 2][8]: one work-item for a panel.

// a0 b0 a1 b1 ..., of the first or of the last lanes.
static float16 mix_low(float16 a, float16 b) {
  return LANES(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
}
static float16 mix_high(float16 a, float16 b) {
  return LANES(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15,
               31);
}

#define PANEL 8

// out[16][PANEL] of 16 columns of each row.  Mixing rows r and r + 4, then the
// results two apart, then neighbours, puts the rows of a column side by side.
static void store_panel(private const float16* rows, global float* out) {
  for (int high = 0; high < 2; ++high) {
    float16 fours[4];
    for (int r = 0; r < 4; ++r) {
      fours[r] = high ? mix_high(rows[r], rows[r + 4])
                      : mix_low(rows[r], rows[r + 4]);
    }
    const float16 even_low = mix_low(fours[0], fours[2]);
    const float16 even_high = mix_high(fours[0], fours[2]);
    const float16 odd_low = mix_low(fours[1], fours[3]);
    const float16 odd_high = mix_high(fours[1], fours[3]);
    vstore16(mix_low(even_low, odd_low), 4 * high, out);
    vstore16(mix_high(even_low, odd_low), 4 * high + 1, out);
    vstore16(mix_low(even_high, odd_high), 4 * high + 2, out);
    vstore16(mix_high(even_high, odd_high), 4 * high + 3, out);
  }
}

// Columns k .. k + 31 of a row as 16 pairs of s16, in the bits of f32.
#if PAIRS
#define VECTOR_COLUMNS 32
static float16 pairs_of(float16 low, float16 high) {
  const int16 even = convert_int16(LANES(low, high, 0, 2, 4, 6, 8, 10, 12, 14,
                                         16, 18, 20, 22, 24, 26, 28, 30));
  const int16 odd = convert_int16(LANES(low, high, 1, 3, 5, 7, 9, 11, 13, 15,
                                        17, 19, 21, 23, 25, 27, 29, 31));
  return as_float16((even & 0xffff) | (odd << 16));
}
#else
#define VECTOR_COLUMNS 16
#endif

// Codings of a panel's rows.
static void code_rows(global const uchar* in, RowPlace x, int first,
                      ActivationArgs args, global const int* permutation,
                      global const float* multiplier, global float* scales,
                      private Coding* codings) {
  for (int r = 0; r < args.panel; ++r) {
    const int m = first + r;
    if (m >= args.M) break;
    float16 largest = (float16)(0.0f);
    float16 poison = (float16)(0.0f);
    for (int k = 0; k < args.K; k += 16) {
      add_to_range(load_input(in, m * x.stride, k, lanes_left(args.K, k),
                              permutation, multiplier),
                   &largest, &poison);
    }
    const RowRange range = {max_lane(largest), sum_lanes(poison)};
    codings[r] = row_coding(range, m, args);
    scales[m] = codings[r].scale;
  }
}

ONE_ITEM kernel void prepare_input(global const uchar* x_base, RowPlace x,
                                   global float* out,
                                   global const int* permutation,
                                   global const float* multiplier,
                                   ActivationArgs args) {
  const int panel = args.panel;
  const int first = (int)get_global_id(0) * panel;
  global const uchar* in = x_base + x.offset;
  Coding codings[PANEL];
#if IS_CODED_BY_ROW
  code_rows(in, x, first, args, permutation, multiplier,
            out + args.scales_offset, codings);
#endif
  if (panel == 1) {
    global float* row = out + args.values_offset + (long)first * args.K;
    for (int k = 0; k < args.K; k += 16) {
      const int n = lanes_left(args.K, k);
      store_row((global uchar*)row, TSR_F32, k, n,
                prepared_input(in, x, first, k, n, &args, permutation,
                               multiplier, codings[0]));
    }
    return;
  }
  const int columns_of_lane = VECTOR_COLUMNS / 16;
  const int row_lanes = (args.K + columns_of_lane - 1) / columns_of_lane;
  global float* panel_out =
      out + args.values_offset + (long)first * row_lanes;
  for (int lane = 0; lane < row_lanes; lane += 16) {
    const int k = lane * columns_of_lane;
    float16 rows[PANEL];
    for (int r = 0; r < PANEL; ++r) {
      rows[r] = prepared_input(in, x, first + r, k, lanes_left(args.K, k),
                               &args, permutation, multiplier, codings[r]);
#if PAIRS
      rows[r] = pairs_of(
          rows[r], prepared_input(in, x, first + r, k + 16,
                                  lanes_left(args.K, k + 16), &args,
                                  permutation, multiplier, codings[r]));
#endif
    }
    const int n = lanes_left(row_lanes, lane);
    global float* place = panel_out + (long)lane * PANEL;
    if (n == 16) {
      store_panel(rows, place);
      continue;
    }
    for (int r = 0; r < PANEL; ++r) {
      float lanes[16];
      vstore16(rows[r], 0, lanes);
      for (int i = 0; i < n; ++i) place[i * PANEL + r] = lanes[i];
    }
  }
}
