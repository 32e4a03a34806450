// SPDX-License-Identifier: Apache-2.0
//
// Decoded columns of W times panels of rows of x, by one work-item: their sums
// are in registers.

#define PANEL 8          // rows of x side by side
#define PANELS 8         // panels of a work-item
#define PAIR (2 * TILE)  // columns of y of a work-item

// f32 is multiplied where it lies; all else is decoded first.
#define DIRECT (CODE == CODE_F32)

#if PAIRS
typedef int Input;      // two columns of x: see activation_block.cl
typedef int16 Factors;  // two columns of W, for 16 columns of y
typedef int16 Sums;
#define STEP_COLUMNS 2
#else
typedef float Input;
typedef float16 Factors;
typedef float16 Sums;
#define STEP_COLUMNS 1
#endif

// Of W, decoded at once: 16 KiB, half of L1.
#define BLOCK_STEPS 128
#define BLOCK_COLUMNS (BLOCK_STEPS * STEP_COLUMNS)

// ---- Decoding -----------------------------------------------------------------

// The factors of two columns, as s16 side by side.
static int16 pair_of(float16 low, float16 high) {
  return (convert_int16(low) & 0xffff) | (convert_int16(high) << 16);
}

// What products take of a code; `group` has the scales of 16 columns of y.
static float16 weight_of(float16 code, const Group* group) {
  const float16 w = factor_of(code, group);
#if !INTEGER && !HAS_MIN && SCALE_BITS != 0
  return w * group->scale;
#else
  return w;
#endif
}

// Decodes `n` columns of a tile to every second vector of `out`.
static void decode_tile(Bytes tile, long at, int n, const Group* group,
                        private Factors* out) {
#if IS_NIBBLE
  for (int i = 0; i < n; i += 2) {
    float16 low;
    float16 high;
    load_pair(tile, (at + i) >> 1, &low, &high);
    low = weight_of(low, group);
    high = weight_of(high, group);
#if PAIRS
    out[i] = pair_of(low, high);
#else
    out[2 * i] = low;
    if (i + 1 < n) out[2 * i + 2] = high;
#endif
  }
#elif PAIRS
  for (int i = 0; i < n; i += 2) {
    // Where there is no second column, x has a 0.
    const int second = min(i + 1, n - 1);
    out[i] = pair_of(weight_of(load_codes(tile, at + i), group),
                     weight_of(load_codes(tile, at + second), group));
  }
#else
  for (int i = 0; i < n; ++i) {
    out[2 * i] = weight_of(load_codes(tile, at + i), group);
  }
#endif
}

// Asks for part `p` of the codes of two tiles from storage column `at` on, which
// the next block reads.
static void fetch_codes(Bytes tile, ulong tile_bytes, long at, int p) {
  const int bytes = BLOCK_COLUMNS * CODE_BYTES / PANELS;
  Bytes codes = tile + at * CODE_BYTES + p * bytes;
  for (int i = 0; i < bytes; i += 64) {
    fetch_line(codes + i);
    fetch_line(codes + tile_bytes + i);
  }
}

// ---- Products -----------------------------------------------------------------

// sum + products of both columns, which are exact.
#if PAIRS
static int16 add_products(int16 sum, int16 w, int x) {
#if PAIRS == PAIRS_NATIVE
  return sum + multiply_pairs(w, (int16)(x));
#else
  return sum + ((w << 16) >> 16) * ((x << 16) >> 16) + (w >> 16) * (x >> 16);
#endif
}
#else
static float16 add_products(float16 sum, float16 w, float x) {
  return fma((float16)(x), w, sum);
}
#endif

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
#define START_ROW(r)    \
  Sums a##r = (Sums)(0); \
  Sums b##r = (Sums)(0);
#define ADD_ROW(r)                       \
  a##r = add_products(a##r, w0, row[r]); \
  b##r = add_products(b##r, w1, row[r]);
#define STORE_ROW(r)             \
  sums[2 * (first + r)] += a##r; \
  sums[2 * (first + r) + 1] += b##r;

#if DIRECT
typedef global const float* Block;  // of a tile, [n][TILE]
#define FIRST_OF(block, k) vload16(k, block)
#define SECOND_OF(block, k) vload16(k, block)
#else
typedef private const Factors* Block;  // [n][2], of two tiles
#define FIRST_OF(block, k) (block)[2 * (k)]
#define SECOND_OF(block, k) (block)[2 * (k) + 1]
#endif

// sums[PANEL][2] += products of a panel with n steps of two tiles.
static void multiply_panel(global const Input* panel, Block tile, Block other,
                           int n, private Sums* sums) {
  for (int first = 0; first < PANEL; first += ROWS_AT_ONCE) {
    EACH_ROW(START_ROW)
    for (int k = 0; k < n; ++k) {
      global const Input* row = panel + k * PANEL + first;
      const Factors w0 = FIRST_OF(tile, k);
      const Factors w1 = SECOND_OF(other, k);
      EACH_ROW(ADD_ROW)
    }
    EACH_ROW(STORE_ROW)
  }
}
