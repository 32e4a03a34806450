#version 460
// SPDX-License-Identifier: Apache-2.0
//
// Y = epilogue(X . W^T): an invocation has ROWS rows and COLUMNS columns of y, as
// many tiles apart, so that what it reads of x serves all of them.
// Integer products are summed in f32 over as many columns as it holds exactly,
// then in i32.
#extension GL_GOOGLE_include_directive : require
#include "base.glsl"
#include "linear_codes.glsl"
#include "linear.glsl"

uint escape_at(int at) {
  return load_half(args.escapes + uint64_t(at) * 2ul);
}
#include "linear_escapes.glsl"

#define MAX_ROWS 8
#define MAX_COLUMNS 4
// 255 * 255 * 256 < 2^24: each of the four partial sums is exact.
const uint EXACT_CHUNKS = 1024u / CHUNK_VALUES;

// What an invocation has of one of its columns.
struct Column {
  uint64_t codes;  // of the next chunk
  float scale;     // of the group at hand, like the next two
  float zero;
  float least;
  uvec4 book;
  vec4 parts[MAX_ROWS];  // of a span whose integers are exact
  float sums[MAX_ROWS];
  int integers[MAX_ROWS];
};

Column columns[MAX_COLUMNS];

void load_group(uint c, int tile, int g) {
  const uint64_t at = uint64_t(tile * args.num_groups + g) * GROUP +
                      uint64_t(gl_LocalInvocationIndex);
  columns[c].scale = load_scale(at);
  if (HAS_ZERO != 0u) columns[c].zero = F32s(args.zeros + at * 4ul).v[0];
  if (HAS_MIN != 0u) columns[c].least = F32s(args.mins + at * 4ul).v[0];
}

void load_books(int tiles[MAX_COLUMNS], uint column) {
  [[unroll]] for (uint c = 0u; c < COLUMNS; ++c) {
    columns[c].book = load_book(tiles[c], column);
  }
}

// Adds the products with x, a chunk of the first row, to the parts.
void multiply_chunk(uint64_t x) {
  Chunk chunks[MAX_COLUMNS];
  [[unroll]] for (uint c = 0u; c < COLUMNS; ++c) {
    chunks[c] = load_chunk(columns[c].codes);
    chunks[c].book = columns[c].book;
    columns[c].codes += 4u * CHUNK_WORDS * GROUP;
  }
  [[unroll]] for (uint i = 0u; i < CHUNK_VALUES / 4u; ++i) {
    vec4 rows[MAX_ROWS];
    [[unroll]] for (uint r = 0u; r < ROWS; ++r) {
      const uint64_t row = x + uint64_t(r * uint(args.columns)) * 4ul;
      rows[r] = F32x4s(row).v[i];
    }
    [[unroll]] for (uint c = 0u; c < COLUMNS; ++c) {
      vec4 w = decode_four(chunks[c], i);
      if (HAS_MIN != 0u) w = w * columns[c].scale + columns[c].least;
      if (HAS_ZERO != 0u) w = w - columns[c].zero;
      [[unroll]] for (uint r = 0u; r < ROWS; ++r) {
        columns[c].parts[r] += rows[r] * w;
      }
    }
  }
}

void fold_parts(uint c) {
  [[unroll]] for (uint r = 0u; r < ROWS; ++r) {
    const vec4 part = columns[c].parts[r];
    if (INTEGER != 0u) {
      const ivec4 exact = ivec4(part);
      columns[c].integers[r] += exact.x + exact.y + exact.z + exact.w;
    } else {
      const float sum = (part.x + part.y) + (part.z + part.w);
      columns[c].sums[r] += HAS_MIN != 0u ? sum : sum * columns[c].scale;
    }
    columns[c].parts[r] = vec4(0.0);
  }
}

// Those of group g, to the sums.
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
      const uint64_t x = first_row + uint64_t(escapes[c].column) * 4ul;
      [[unroll]] for (uint r = 0u; r < ROWS; ++r) {
        const float value =
            F32s(x + uint64_t(r * uint(args.columns)) * 4ul).v[0];
        if (INTEGER != 0u) {
          columns[c].integers[r] += code * int(value);
        } else {
          columns[c].sums[r] += float(code) * value * columns[c].scale;
        }
      }
    }
  }
}

void end_group(uint c, int g, int n) {
  if (INTEGER == 0u || GROUPED == 0u) return;
  [[unroll]] for (uint r = 0u; r < ROWS; ++r) {
    const int sum = columns[c].integers[r];
    columns[c].sums[r] = fma_exact(g == 0 ? biased(sum, n) : float(sum),
                                   columns[c].scale, columns[c].sums[r]);
    columns[c].integers[r] = 0;
  }
}

void store_column(uint c, int first_row, int n) {
  if (n < args.n_begin || n >= args.n_end) return;
  [[unroll]] for (uint r = 0u; r < ROWS; ++r) {
    const int row = first_row + int(r);
    if (row >= args.M) break;
    finish_products(columns[c].sums[r], columns[c].integers[r],
                    columns[c].scale, row, n);
  }
}

void main() {
  args = place.v;
  const int lane = int(gl_LocalInvocationIndex);
  const int first_tile =
      args.n_begin / int(GROUP) + int(gl_WorkGroupID.x * COLUMNS);
  const int last_tile = (args.n_end - 1) / int(GROUP);
  const int first_row = int(gl_WorkGroupID.y * ROWS);
  uint64_t x = args.values +
               uint64_t(first_row) * uint64_t(args.columns) * 4ul;
  const uint64_t first_x = x;
  int tiles[MAX_COLUMNS];
  [[unroll]] for (uint c = 0u; c < COLUMNS; ++c) {
    tiles[c] = min(first_tile + int(c), last_tile);  // the last may be twice
    columns[c].codes = args.codes + uint64_t(tiles[c]) * args.tile_bytes +
                       uint64_t(uint(lane) * 4u * CHUNK_WORDS);
    [[unroll]] for (uint r = 0u; r < ROWS; ++r) {
      columns[c].parts[r] = vec4(0.0);
      columns[c].sums[r] = 0.0;
      columns[c].integers[r] = 0;
    }
  }
  int g = 0;
  do {
    [[unroll]] for (uint c = 0u; c < COLUMNS; ++c) load_group(c, tiles[c], g);
    uint begin = 0u;
    do {
      const uint end = min(begin + EXACT_CHUNKS, uint(args.group_chunks));
      uint i = begin;
      do {
        if (CODE == CODE_BOOK && i % BOOK_CHUNKS == 0u) {
          load_books(tiles, (uint(g * args.group_chunks) + i) * CHUNK_VALUES);
        }
        multiply_chunk(x);
        x += CHUNK_VALUES * 4u;
      } while (++i < end);
      [[unroll]] for (uint c = 0u; c < COLUMNS; ++c) fold_parts(c);
      begin = end;
    } while (begin < uint(args.group_chunks));
    if (CODE == CODE_BOOK) add_escapes(tiles, g, first_x);
    [[unroll]] for (uint c = 0u; c < COLUMNS; ++c) {
      end_group(c, g, tiles[c] * int(GROUP) + lane);
    }
  } while (++g < args.num_groups);
  [[unroll]] for (uint c = 0u; c < COLUMNS; ++c) {
    if (first_tile + int(c) > last_tile) break;
    store_column(c, first_row, tiles[c] * int(GROUP) + lane);
  }
}
