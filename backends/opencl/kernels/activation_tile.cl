// SPDX-License-Identifier: Apache-2.0
//
// The input of a linear in panels of `panel` rows side by side, [K][panel]: a
// work-group for a row.

WHOLE_GROUP kernel void prepare_input(global const uchar* x_base, RowPlace x,
                                      global float* out,
                                      global const int* permutation,
                                      global const float* multiplier,
                                      ActivationArgs args) {
  local float partial[GROUP];
  const int m = get_group_id(0);
  const int panel = args.panel;
  global const uchar* in = x_base + x.offset;
  global float* row_out = out + args.values_offset +
                          (long)(m / panel) * panel * args.K + m % panel;
  const int first = 16 * (int)get_local_id(0);
  const bool is_coded = m < args.M && IS_CODED_BY_ROW;
  const int columns = is_coded ? args.K : 0;
  float16 largest = (float16)(0.0f);
  float16 poison = (float16)(0.0f);
  for (int k = first; k < columns; k += 16 * GROUP) {
    add_to_range(load_input(in, m * x.stride, k, lanes_left(args.K, k),
                            permutation, multiplier),
                 &largest, &poison);
  }
  RowRange range;
  range.amax = group_max(max_lane(largest), partial);
  range.bad = group_sum(sum_lanes(poison), partial);
  const Coding coding = row_coding(range, m, args);
  if (is_coded && get_local_id(0) == 0) {
    out[args.scales_offset + m] = coding.scale;
  }
  for (int k = first; k < args.K; k += 16 * GROUP) {
    const int n = lanes_left(args.K, k);
    float lanes[16];
    vstore16(prepared_input(in, x, m, k, n, &args, permutation, multiplier,
                            coding),
             0, lanes);
    for (int lane = 0; lane < n; ++lane) {
      row_out[(long)(k + lane) * panel] = lanes[lane];
    }
  }
}
