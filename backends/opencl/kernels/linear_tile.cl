// SPDX-License-Identifier: Apache-2.0
//
// The form for GPUs: a work-group computes a tile of y, and its 256 work-items
// share what they read by way of local memory.

#define ITEMS 16      // work-items along each side of a group
#define PANEL 8       // rows of x side by side
#define SIDE 64       // rows and columns of y of a group
#define PART 4        // of a work-item along each side
#define DEPTH 16      // columns of K in local memory at once

#define WHOLE_GROUP __attribute__((reqd_work_group_size(ITEMS, ITEMS, 1)))

// Whether products are of four s8 at a time: codes of both sides fit, and the
// device has the instruction or DOT is forced.
#define DOT_OFF 0
#define DOT_EMULATED 1
#define DOT_NATIVE 2  // cl_khr_integer_dot_product
#ifndef DOT
#define DOT DOT_OFF
#endif

// Whether a sub-group adds up a column of one row.
#define SUBGROUPS_OFF 0
#define SUBGROUPS_EMULATED 1
#define SUBGROUPS_NATIVE 2  // cl_khr_subgroups
#ifndef SUBGROUPS
#define SUBGROUPS SUBGROUPS_OFF
#endif

#if DOT == DOT_NATIVE
static int dot4(uint a, uint b, int sum) {
  return sum + dot_4x8packed_ss_int(a, b);
}
#elif DOT == DOT_EMULATED
static int dot4(uint a, uint b, int sum) {
  const char4 x = as_char4(a);
  const char4 y = as_char4(b);
  return sum + x.s0 * y.s0 + x.s1 * y.s1 + x.s2 * y.s2 + x.s3 * y.s3;
}
#endif

// The code of storage column k of one lane of a tile.
static float load_code(Bytes tile, long k, int lane) {
#if IS_NIBBLE
  const uchar pair = tile[(k >> 1) * TILE + lane];
  const uchar nibble = (k & 1) == 0 ? pair & 15 : pair >> 4;
  return decode_nibbles((uchar16)(nibble)).s0;
#elif CODE == CODE_F32
  return ((global const float*)tile)[k * TILE + lane];
#elif CODE == CODE_F16
  return f16_to_f32((ushort16)(((global const ushort*)tile)[k * TILE + lane]))
      .s0;
#elif CODE == CODE_BF16
  return bf16_to_f32((ushort16)(((global const ushort*)tile)[k * TILE + lane]))
      .s0;
#elif CODE == CODE_S8
  return (float)((global const char*)tile)[k * TILE + lane];
#else
  return decode_bytes((uchar16)(tile[k * TILE + lane])).s0;
#endif
}

// The value of group g for one lane of a section of a value per group.
static float group_value(Bytes section, long tile, int num_groups, int g,
                         int lane) {
  return ((global const float*)section)[(tile * num_groups + g) * TILE + lane];
}

static float load_scale(Bytes weight, const LinearArgs* args, long tile, int g,
                        int lane) {
#if SCALE_BITS == 32
  return group_value(weight + args->scales_offset, tile, args->num_groups, g,
                     lane);
#elif SCALE_BITS == 16
  global const ushort* scales =
      (global const ushort*)(weight + args->scales_offset);
  return f16_to_f32(
             (ushort16)(scales[(tile * args->num_groups + g) * TILE + lane]))
      .s0;
#else
  return 1.0f;
#endif
}

// W[n, k] as the products take it: exact integers, or the weight itself.
static float load_factor(Bytes weight, const LinearArgs* args, int n, int k) {
  const long tile = n / TILE;
  const int lane = n % TILE;
  const int g = k / args->group_size;
  const float code =
      load_code(weight + args->codes_offset + tile * args->tile_bytes,
                (long)g * args->padded_group + k % args->group_size, lane);
#if HAS_MIN
  return fma(code, load_scale(weight, args, tile, g, lane),
             group_value(weight + args->mins_offset, tile, args->num_groups, g,
                         lane));
#else
#if HAS_ZERO
  const float factor = code - group_value(weight + args->zeros_offset, tile,
                                          args->num_groups, g, lane);
#else
  const float factor = code;
#endif
#if INTEGER
  return factor;
#else
  return factor * load_scale(weight, args, tile, g, lane);
#endif
#endif
}

// What a work-item has summed for one y.
typedef struct {
  float products;  // INTEGER: of at most EXACT_COLUMNS columns
  int integers;
  float groups;
} Sum;

#if INTEGER
static float biased_one(const LinearArgs* args, int sum, int n,
                        global const int* quant_bias) {
  if (!args->has_quant_bias) return (float)sum;
  return convert_float_rte((long)sum + (long)quant_bias[n]);
}
#endif

// After the last of some columns of a group; `ends_group` if it was whole.
static void fold(const LinearArgs* args, Bytes weight, Sum* sum, int n, int g,
                 bool ends_group, global const int* quant_bias) {
#if INTEGER
  sum->integers += (int)sum->products;
  sum->products = 0.0f;
#if GROUPED
  if (!ends_group) return;
  const float f = g == 0 ? biased_one(args, sum->integers, n, quant_bias)
                         : (float)sum->integers;
  sum->groups =
      fma(f, load_scale(weight, args, n / TILE, g, n % TILE), sum->groups);
  sum->integers = 0;
#endif
#endif
}

static void finish_one(const LinearArgs* args, Bytes weight, Sum sum, int m,
                       int n, float row_scale, global uchar* y, Bytes bias,
                       Bytes multiplier, Bytes residual,
                       global const int* quant_bias) {
  const long i = n - args->n_begin;
  const long at = m * args->y.stride + i;
#if INTEGER && !GROUPED
  if (args->y.dtype == TSR_I32) {
    global int* place = (global int*)(y + args->y.offset) + at;
    const uint old = args->accumulate ? (uint)*place : 0u;
    *place = (int)(old + (uint)sum.integers);
    return;
  }
  float v = biased_one(args, sum.integers, n, quant_bias) *
            (row_scale * load_scale(weight, args, n / TILE, 0, n % TILE));
#else
  float scale = 1.0f;
  if (args->has_scale2) {
    scale = ((global const float*)(weight + args->scale2_offset))[n];
  }
#if INTEGER
  float v = sum.groups * (row_scale * scale);
#else
  float v = args->has_scale2 ? sum.products * scale : sum.products;
#endif
#endif
  if (args->has_bias) {
    v = v + ((global const float*)(bias + args->bias_offset))[n];
  }
  v = activate((float16)(v), args->activation).s0;
  if (args->multiplier.dtype != 0) {
    v = v * load_one(multiplier + args->multiplier.offset,
                     args->multiplier.dtype, m * args->multiplier.stride + i);
  }
  if (args->residual.dtype != 0) {
    v = v + load_one(residual + args->residual.offset, args->residual.dtype,
                     m * args->residual.stride + i);
  } else if (args->accumulate) {
    v = v + load_one(y + args->y.offset, args->y.dtype, at);
  }
  store_row(y + args->y.offset, args->y.dtype, at, 1, (float16)(v));
}

// Columns k .. k + count - 1 of one step of a loop along K; integers do not
// cross a group.
static int step_end(const LinearArgs* args, int k) {
  int end = min(k + DEPTH, args->K);
#if INTEGER
  const int group_end = (k / args->group_size + 1) * args->group_size;
  end = min(end, group_end);
#endif
  return end;
}

// True if sums must be folded after column end - 1 of group g.
static bool must_fold(const LinearArgs* args, int g, int end) {
  const int begin = g * args->group_size;
  const int group_end = min(begin + args->group_size, args->K);
  return end == group_end || (end - begin) % EXACT_COLUMNS < DEPTH;
}

#if SUBGROUPS != SUBGROUPS_OFF
// ---- One row: a sub-group for a column of y ---------------------------------

#if SUBGROUPS == SUBGROUPS_NATIVE
#pragma OPENCL EXTENSION cl_khr_subgroups : enable
#define SUBGROUP_SIZE ((int)get_sub_group_size())
#define SUBGROUP_LANE ((int)get_sub_group_local_id())
#define SUBGROUP_INDEX ((int)get_sub_group_id())
#define SUBGROUP_COUNT ((int)get_num_sub_groups())
#define SUBGROUP_SUM(value) sub_group_reduce_add(value)
#else
// Sub-groups of 16, which meet in local memory.  Every work-item comes here.
#define SUBGROUP_SIZE ITEMS
#define SUBGROUP_LANE ((int)get_local_id(0))
#define SUBGROUP_INDEX ((int)get_local_id(1))
#define SUBGROUP_COUNT ITEMS
#define SUBGROUP_SUM(value) emulated_sum(value, partial)
static float emulated_sum(float value, local float* partial) {
  barrier(CLK_LOCAL_MEM_FENCE);
  partial[get_local_id(1) * ITEMS + get_local_id(0)] = value;
  barrier(CLK_LOCAL_MEM_FENCE);
  float sum = 0.0f;
  for (int i = 0; i < ITEMS; ++i) sum += partial[get_local_id(1) * ITEMS + i];
  return sum;
}
#endif

WHOLE_GROUP kernel void linear_row(global const uchar* weight,
                                   global const float* x, LinearArgs args,
                                   global uchar* y, global const uchar* bias,
                                   global const uchar* multiplier,
                                   global const uchar* residual,
                                   global const int* quant_bias) {
#if SUBGROUPS == SUBGROUPS_EMULATED
  local float partial[ITEMS * ITEMS];
#endif
  const int tile = args.n_begin / TILE + (int)get_group_id(1);
  global const float* row = x + args.values_offset;
  // All work-items take as many turns, for the sums are taken together.
  for (int turn = 0; turn < TILE; turn += SUBGROUP_COUNT) {
    const int lane = turn + SUBGROUP_INDEX;
    const bool has_column = lane < TILE;
    const int n = tile * TILE + (has_column ? lane : 0);
    Sum sum = {0.0f, 0, 0.0f};
    for (int k = 0; k < args.K;) {
      const int g = k / args.group_size;
      const int group_end = min((g + 1) * args.group_size, args.K);
      const int end = min(k + EXACT_COLUMNS, INTEGER ? group_end : args.K);
      float products = 0.0f;
      for (int i = k + SUBGROUP_LANE; i < end; i += SUBGROUP_SIZE) {
        products = fma(row[i], load_factor(weight, &args, n, i), products);
      }
      sum.products += SUBGROUP_SUM(products);
      fold(&args, weight, &sum, n, g, end == group_end, quant_bias);
      k = end;
    }
    if (!has_column || SUBGROUP_LANE != 0 || n < args.n_begin ||
        n >= args.n_end) {
      continue;
    }
    const float row_scale = INTEGER ? x[args.row_scales_offset] : 1.0f;
    finish_one(&args, weight, sum, 0, n, row_scale, y, bias, multiplier,
               residual, quant_bias);
  }
}
#else
// ---- One row: 16 columns of y, 16 work-items for each -----------------------

WHOLE_GROUP kernel void linear_row(global const uchar* weight,
                                   global const float* x, LinearArgs args,
                                   global uchar* y, global const uchar* bias,
                                   global const uchar* multiplier,
                                   global const uchar* residual,
                                   global const int* quant_bias) {
  local float partial[ITEMS][ITEMS];
  const int lane = get_local_id(0);
  const int slice = get_local_id(1);
  const int n = (args.n_begin / TILE + (int)get_group_id(1)) * TILE + lane;
  global const float* row = x + args.values_offset;
  Sum sum = {0.0f, 0, 0.0f};
  for (int k = 0; k < args.K;) {
    // A work-item takes every 16th column of up to EXACT_COLUMNS of a group.
    const int g = k / args.group_size;
    const int group_end = min((g + 1) * args.group_size, args.K);
    const int end = min(k + EXACT_COLUMNS, INTEGER ? group_end : args.K);
    float products = 0.0f;
    for (int i = k + slice; i < end; i += ITEMS) {
      products = fma(row[i], load_factor(weight, &args, n, i), products);
    }
    partial[slice][lane] = products;
    barrier(CLK_LOCAL_MEM_FENCE);
    if (slice == 0) {
      for (int s = 0; s < ITEMS; ++s) sum.products += partial[s][lane];
      fold(&args, weight, &sum, n, g, end == group_end, quant_bias);
    }
    barrier(CLK_LOCAL_MEM_FENCE);
    k = end;
  }
  if (slice != 0 || n < args.n_begin || n >= args.n_end) return;
  const float row_scale = INTEGER ? x[args.row_scales_offset] : 1.0f;
  finish_one(&args, weight, sum, 0, n, row_scale, y, bias, multiplier, residual,
             quant_bias);
}
#endif

// ---- Many rows ----------------------------------------------------------------

WHOLE_GROUP kernel void linear_rows(global const uchar* weight,
                                    global const float* x, LinearArgs args,
                                    global uchar* y, global const uchar* bias,
                                    global const uchar* multiplier,
                                    global const uchar* residual,
                                    global const int* quant_bias) {
#if DOT != DOT_OFF
  local uint rows[DEPTH / 4][SIDE];  // four columns of K each
  local uint columns[DEPTH / 4][SIDE];
#else
  local float rows[DEPTH][SIDE];
  local float columns[DEPTH][SIDE];
#endif
  const int first_n =
      args.n_begin / TILE * TILE + (int)get_group_id(0) * SIDE;
  const int first_m = (int)get_group_id(1) * SIDE;
  const int item = get_local_id(1) * ITEMS + get_local_id(0);
  const int padded_rows = (args.M + PANEL - 1) / PANEL * PANEL;
  Sum sums[PART][PART];
  for (int i = 0; i < PART * PART; ++i) {
    sums[i / PART][i % PART].products = 0.0f;
    sums[i / PART][i % PART].integers = 0;
    sums[i / PART][i % PART].groups = 0.0f;
  }
  for (int k = 0; k < args.K;) {
    const int end = step_end(&args, k);
#if DOT != DOT_OFF
    for (int i = item; i < DEPTH / 4 * SIDE; i += ITEMS * ITEMS) {
      const int n = first_n + i % SIDE;
      const int m = first_m + i % SIDE;
      char w_codes[4];
      char v_codes[4];
      for (int c = 0; c < 4; ++c) {
        const int column = k + i / SIDE * 4 + c;
        const bool inside = column < end;
        w_codes[c] = inside && n < args.n_end
                         ? (char)load_factor(weight, &args, n, column)
                         : (char)0;
        v_codes[c] = inside && m < padded_rows
                         ? (char)x[args.values_offset +
                                   ((long)(m / PANEL) * args.K + column) *
                                       PANEL +
                                   m % PANEL]
                         : (char)0;
      }
      columns[i / SIDE][i % SIDE] = as_uint(vload4(0, w_codes));
      rows[i / SIDE][i % SIDE] = as_uint(vload4(0, v_codes));
    }
    barrier(CLK_LOCAL_MEM_FENCE);
    for (int d = 0; d < DEPTH / 4; ++d) {
      for (int r = 0; r < PART; ++r) {
        const uint value = rows[d][get_local_id(1) * PART + r];
        for (int c = 0; c < PART; ++c) {
          sums[r][c].integers =
              dot4(value, columns[d][get_local_id(0) + c * ITEMS],
                   sums[r][c].integers);
        }
      }
    }
#else
    for (int i = item; i < DEPTH * SIDE; i += ITEMS * ITEMS) {
      const int column = k + i / SIDE;
      const int n = first_n + i % SIDE;
      const int m = first_m + i % SIDE;
      const bool inside = column < end;
      columns[i / SIDE][i % SIDE] =
          inside && n < args.n_end ? load_factor(weight, &args, n, column)
                                   : 0.0f;
      rows[i / SIDE][i % SIDE] =
          inside && m < padded_rows
              ? x[args.values_offset +
                  ((long)(m / PANEL) * args.K + column) * PANEL + m % PANEL]
              : 0.0f;
    }
    barrier(CLK_LOCAL_MEM_FENCE);
    for (int d = 0; d < DEPTH; ++d) {
      for (int r = 0; r < PART; ++r) {
        const float value = rows[d][get_local_id(1) * PART + r];
        for (int c = 0; c < PART; ++c) {
          sums[r][c].products =
              fma(value, columns[d][get_local_id(0) + c * ITEMS],
                  sums[r][c].products);
        }
      }
    }
#endif
    barrier(CLK_LOCAL_MEM_FENCE);
    const int g = k / args.group_size;
    k = end;
    if (!INTEGER || !must_fold(&args, g, end)) continue;
    const bool ends_group = end == min((g + 1) * args.group_size, args.K);
    for (int r = 0; r < PART; ++r) {
      for (int c = 0; c < PART; ++c) {
        const int n = first_n + get_local_id(0) + c * ITEMS;
        if (n >= args.n_end) continue;
        fold(&args, weight, &sums[r][c], n, g, ends_group, quant_bias);
      }
    }
  }
  for (int r = 0; r < PART; ++r) {
    const int m = first_m + get_local_id(1) * PART + r;
    if (m >= args.M) continue;
    const float row_scale = INTEGER ? x[args.row_scales_offset + m] : 1.0f;
    for (int c = 0; c < PART; ++c) {
      const int n = first_n + get_local_id(0) + c * ITEMS;
      if (n < args.n_begin || n >= args.n_end) continue;
      finish_one(&args, weight, sums[r][c], m, n, row_scale, y, bias,
                 multiplier, residual, quant_bias);
    }
  }
}
