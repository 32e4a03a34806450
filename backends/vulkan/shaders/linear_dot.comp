#version 460
// SPDX-License-Identifier: Apache-2.0
//
// Y = epilogue(X . W^T) of integers, four columns by one instruction: as
// linear.comp cuts the work, but x is bytes.  Where zero points keep x - zero
// point from being one, the bytes are shifted, and the sum of W's codes takes that
// back.
#extension GL_GOOGLE_include_directive : require
#include "base.glsl"
#include "dot.glsl"
#include "linear_codes.glsl"
#include "linear.glsl"

uint escape_at(int at) {
  return load_half(args.escapes + uint64_t(at) * 2ul);
}
#include "linear_escapes.glsl"

layout(constant_id = 11) const uint IS_SHIFTED = 0u;

#define MAX_ROWS 8
#define MAX_COLUMNS 4
const uint WORDS_OF_CHUNK = CHUNK_VALUES / 4u;

// What an invocation has of one of its columns.
struct Column {
  uint64_t codes;     // of the next chunk
  uvec4 book;
  int codes_sum;      // of the group at hand, as products[]
  int products[MAX_ROWS];
  float sums[MAX_ROWS];
};

Column columns[MAX_COLUMNS];

void load_books(int tiles[MAX_COLUMNS], uint column) {
  [[unroll]] for (uint c = 0u; c < COLUMNS; ++c) {
    columns[c].book = load_book(tiles[c], column);
  }
}

// Adds the products with x, a chunk of the first row.
void multiply_chunk(uint64_t x) {
  Chunk chunks[MAX_COLUMNS];
  [[unroll]] for (uint c = 0u; c < COLUMNS; ++c) {
    chunks[c] = load_chunk(columns[c].codes);
    chunks[c].book = columns[c].book;
    columns[c].codes += 4u * CHUNK_WORDS * GROUP;
  }
  [[unroll]] for (uint i = 0u; i < WORDS_OF_CHUNK; ++i) {
    int rows[MAX_ROWS];
    [[unroll]] for (uint r = 0u; r < ROWS; ++r) {
      rows[r] = I32s(x + uint64_t(r * uint(args.columns))).v[i];
    }
    [[unroll]] for (uint c = 0u; c < COLUMNS; ++c) {
      const int w = int(decode_bytes(chunks[c], i));
      if (IS_SHIFTED != 0u) columns[c].codes_sum += dot_four(w, 0x01010101);
      [[unroll]] for (uint r = 0u; r < ROWS; ++r) {
        columns[c].products[r] += dot_four(rows[r], w);
      }
    }
  }
}

// Those of group g.
void add_escapes(int tiles[MAX_COLUMNS], int g, uint64_t first_row) {
  Escapes escapes[MAX_COLUMNS];
  int most = 0;
  [[unroll]] for (uint c = 0u; c < COLUMNS; ++c) {
    escapes[c] = escapes_of(tiles[c], g, int(gl_LocalInvocationIndex));
    most = max(most, escapes[c].end - escapes[c].next);
  }
  for (; most > 0; --most) {
    [[unroll]] for (uint c = 0u; c < COLUMNS; ++c) {
      const int code = take_escape(escapes[c]);
      if (IS_SHIFTED != 0u) columns[c].codes_sum += code;
      [[unroll]] for (uint r = 0u; r < ROWS; ++r) {
        columns[c].products[r] +=
            code * load_byte(first_row + uint64_t(r * uint(args.columns)) +
                             uint64_t(escapes[c].column));
      }
    }
  }
}

// What the products of a row were without the shift.
int unshifted(uint c, uint r, int first_row) {
  const int sum = columns[c].products[r];
  if (IS_SHIFTED == 0u) return sum;
  const int row = min(first_row + int(r), args.M - 1);
  return sum - I32s(args.row_shifts).v[row] * columns[c].codes_sum;
}

void end_group(uint c, int tile, int g, int first_row) {
  if (GROUPED == 0u) return;
  const int n = tile * int(GROUP) + int(gl_LocalInvocationIndex);
  const float scale =
      load_scale(uint64_t(tile * args.num_groups + g) * GROUP +
                 uint64_t(gl_LocalInvocationIndex));
  [[unroll]] for (uint r = 0u; r < ROWS; ++r) {
    const int sum = unshifted(c, r, first_row);
    columns[c].sums[r] = fma_exact(g == 0 ? biased(sum, n) : float(sum), scale,
                                   columns[c].sums[r]);
    columns[c].products[r] = 0;
  }
  columns[c].codes_sum = 0;
}

void store_column(uint c, int tile, int first_row) {
  const int n = tile * int(GROUP) + int(gl_LocalInvocationIndex);
  if (n < args.n_begin || n >= args.n_end) return;
  const float scale = GROUPED != 0u ? 1.0 : load_scale(uint64_t(n));
  [[unroll]] for (uint r = 0u; r < ROWS; ++r) {
    const int row = first_row + int(r);
    if (row >= args.M) break;
    finish_products(columns[c].sums[r], unshifted(c, r, first_row), scale, row,
                    n);
  }
}

void main() {
  args = place.v;
  const int first_tile =
      args.n_begin / int(GROUP) + int(gl_WorkGroupID.x * COLUMNS);
  const int last_tile = (args.n_end - 1) / int(GROUP);
  const int first_row = int(gl_WorkGroupID.y * ROWS);
  uint64_t x =
      args.values + uint64_t(first_row) * uint64_t(args.columns);
  const uint64_t first_x = x;
  int tiles[MAX_COLUMNS];
  [[unroll]] for (uint c = 0u; c < COLUMNS; ++c) {
    tiles[c] = min(first_tile + int(c), last_tile);  // the last may be twice
    columns[c].codes =
        args.codes + uint64_t(tiles[c]) * args.tile_bytes +
        uint64_t(gl_LocalInvocationIndex * 4u * CHUNK_WORDS);
    columns[c].codes_sum = 0;
    [[unroll]] for (uint r = 0u; r < ROWS; ++r) {
      columns[c].products[r] = 0;
      columns[c].sums[r] = 0.0;
    }
  }
  int g = 0;
  do {
    int i = 0;
    do {
      if (CODE == CODE_BOOK && uint(i) % BOOK_CHUNKS == 0u) {
        load_books(tiles, uint(g * args.group_chunks + i) * CHUNK_VALUES);
      }
      multiply_chunk(x);
      x += CHUNK_VALUES;
    } while (++i < args.group_chunks);
    if (CODE == CODE_BOOK) add_escapes(tiles, g, first_x);
    [[unroll]] for (uint c = 0u; c < COLUMNS; ++c) {
      end_group(c, tiles[c], g, first_row);
    }
  } while (++g < args.num_groups);
  [[unroll]] for (uint c = 0u; c < COLUMNS; ++c) {
    if (first_tile + int(c) > last_tile) break;
    store_column(c, tiles[c], first_row);
  }
}
