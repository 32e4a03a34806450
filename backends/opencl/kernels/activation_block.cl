// SPDX-License-Identifier: Apache-2.0
//
// The input of a linear in panels of `panel` rows side by side, [K][panel]: one
// work-item for a panel.

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

ONE_ITEM kernel void prepare_input(global const uchar* x_base, RowPlace x,
                                   global float* out,
                                   global const int* permutation,
                                   global const float* multiplier,
                                   ActivationArgs args) {
  const int p = get_global_id(0);
  const int panel = args.panel;
  global const uchar* in = x_base + x.offset;
  global float* panel_out = out + args.values_offset + (long)p * panel * args.K;
  global float* scales = out + args.scales_offset;
  Coding codings[PANEL];
  for (int r = 0; r < panel; ++r) {
    const int m = p * panel + r;
    if (m >= args.M || !IS_CODED_BY_ROW) continue;
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
  for (int k = 0; k < args.K; k += 16) {
    const int n = lanes_left(args.K, k);
    float16 rows[PANEL];
    for (int r = 0; r < panel; ++r) {
      const int m = p * panel + r;
      rows[r] = prepared_input(in, x, m, k, n, &args, permutation, multiplier,
                               codings[r]);
    }
    if (panel == 1) {
      store_row((global uchar*)panel_out, TSR_F32, k, n, rows[0]);
    } else if (n == 16) {
      store_panel(rows, panel_out + (long)k * PANEL);
    } else {
      for (int r = 0; r < PANEL; ++r) {
        float lanes[16];
        vstore16(rows[r], 0, lanes);
        for (int lane = 0; lane < n; ++lane) {
          panel_out[(long)(k + lane) * PANEL + r] = lanes[lane];
        }
      }
    }
  }
}
