// SPDX-License-Identifier: Apache-2.0
//
// What every linear has: its constants and arguments, and what becomes of a sum.

layout(constant_id = 4) const uint SCALE_BITS = 0u;  // 0, 16 or 32
layout(constant_id = 5) const uint HAS_ZERO = 0u;
layout(constant_id = 6) const uint HAS_MIN = 0u;
layout(constant_id = 7) const uint INTEGER = 0u;
layout(constant_id = 8) const uint GROUPED = 0u;  // numerics.md section 1
layout(constant_id = 9) const uint ROWS = 1u;
layout(constant_id = 10) const uint COLUMNS = 1u;

struct Args {
  uint64_t codes;
  uint64_t scales;
  uint64_t zeros;
  uint64_t mins;
  uint64_t books;  // of CODE_BOOK, like the next two
  uint64_t starts;
  uint64_t escapes;
  uint64_t scale2;  // 0: none, like the next two
  uint64_t quant_bias;
  uint64_t bias;
  uint64_t values;
  uint64_t row_scales;
  uint64_t row_shifts;
  RowPlace y;
  RowPlace multiplier;
  RowPlace residual;
  uint64_t tile_bytes;
  int M;
  int columns;
  int n_begin;
  int n_end;
  int num_groups;
  int group_chunks;
  int activation;
  int accumulate;
  int first_tile;  // of W's, where the first block is
  int codes_tile;  // whose codes are first in `codes`
};
READ_ARGS_ONCE(Args)

// Of CODE_BOOK.
uvec4 load_book(int tile, uint column) {
  const uint index = book_index(tile, column, args.columns);
  return U32x4s(args.books + uint64_t(index) * 16ul).v[0];
}

float load_scale(uint64_t at) {
  if (SCALE_BITS == 32u) return F32s(args.scales + at * 4ul).v[0];
  if (SCALE_BITS == 16u) {
    return f16_to_f32(load_half(args.scales + at * 2ul));
  }
  return 1.0;
}

float activate(float v) {
  if (args.activation == 1) return portable_silu(v);
  if (args.activation == 2) return portable_gelu_erf(v);
  if (args.activation == 3) return portable_gelu_tanh(v);
  return v;
}

// y[row, n] from its scaled sum.
void finish(float sum, int row, int n) {
  const int i = n - args.n_begin;
  precise float v = sum;
  if (args.bias != 0ul) v = v + F32s(args.bias).v[n];
  v = activate(v);
  if (args.multiplier.dtype != 0) {
    v = v * load_place(args.multiplier, row, i);
  }
  if (args.residual.dtype != 0) {
    v = v + load_place(args.residual, row, i);
  } else if (args.accumulate != 0) {
    v = v + load_place(args.y, row, i);
  }
  store_place(args.y, row, i, v);
}

// f32(sum + QUANT_BIAS), rounded once.
float biased(int sum, int n) {
  if (args.quant_bias == 0ul) return float(sum);
  return float(int64_t(sum) + int64_t(I32s(args.quant_bias).v[n]));
}

void store_sum(int sum, int row, int n) {
  I32s place = I32s(args.y.address +
                    (row * args.y.stride + (n - args.n_begin)) * 4);
  place.v[0] = args.accumulate != 0 ? place.v[0] + sum : sum;
}

// y[row, n] from the products: `sum` is scaled where they are f32 or grouped,
// else `integer` is exact and `scale` the column's.
void finish_products(float sum, int integer, float scale, int row, int n) {
  const float scale2 = args.scale2 != 0ul ? F32s(args.scale2).v[n] : 1.0;
  if (INTEGER == 0u) {
    precise const float v = sum * scale2;
    finish(v, row, n);
  } else if (GROUPED == 0u && args.y.dtype == TSR_I32) {
    store_sum(integer, row, n);
  } else {
    precise const float factor =
        F32s(args.row_scales).v[row] * (GROUPED != 0u ? scale2 : scale);
    precise const float v = (GROUPED != 0u ? sum : biased(integer, n)) * factor;
    finish(v, row, n);
  }
}
