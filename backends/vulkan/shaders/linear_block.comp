#version 460
// SPDX-License-Identifier: Apache-2.0
//
// Y = epilogue(X . W^T) in blocks: a work-group has a panel of ROWS rows and
// COLUMNS vectors of LANES columns of y.  Chunks of W are texels; values of x are
// read a vector at a time and handed to all lanes, once for all columns.
// BOOKS: the codes are CODE_BOOK.
#extension GL_GOOGLE_include_directive : require
#define BLOCK_FORM
#include "base.glsl"
#include "block.glsl"
#include "linear_codes.glsl"
#include "linear.glsl"

#define SCALES_END 0u
#define SCALES_CODES 1u
#define SCALES_GROUPS 2u

// What becomes of the sums: anything; f32 as they are; f32 times the scales of
// row and column.
#define EPILOGUE_ANY 0u
#define EPILOGUE_NONE 1u
#define EPILOGUE_SCALES 2u
layout(constant_id = 11) const uint EPILOGUE = EPILOGUE_ANY;
// What scales multiply: a group's products where there is one row or where they
// are integers, else its codes; at the end, where there is one group.
layout(constant_id = 12) const uint SCALING = SCALES_END;
// Columns of W whose products stand in the code side by side: sums stay in
// registers meanwhile, and more code than a processor keeps decoded is slow.
layout(constant_id = 13) const uint PART = 4u;
layout(constant_id = 14) const uint PER_WORD = 1u;  // values of x, in 32 bits

layout(binding = 0) uniform usamplerBuffer code_texels;
layout(binding = 1) uniform usamplerBuffer x_texels;
layout(binding = 2) uniform samplerBuffer scale_texels;
#ifdef BOOKS
layout(binding = 3) uniform usamplerBuffer book_texels;
layout(binding = 4) uniform usamplerBuffer escape_texels;

uint escape_at(int at) { return texelFetch(escape_texels, at).x; }
#include "linear_escapes.glsl"
#else
layout(binding = 3) uniform samplerBuffer zero_texels;
layout(binding = 4) uniform samplerBuffer min_texels;
#endif

#define MAX_ROWS 16
#define MAX_COLUMNS 8
#define MAX_CHUNK 32
#define MAX_SUMS (MAX_ROWS * MAX_COLUMNS)
#define MAX_STEP 4
#define MAX_X_VECTORS 32  // of a part: MAX_ROWS * MAX_CHUNK / 4 / LANES

// Chunks whose texels are read together: a driver may call a function for each
// texel, around which no sum stays in a register.
const uint STEP = PART > CHUNK_VALUES ? PART / CHUNK_VALUES : 1u;
const uint PARTS = STEP * CHUNK_VALUES / PART;
const uint ROWS_AT_ONCE = ROWS < 4u || COLUMNS > 4u ? 1u : 4u;
const uint SUMS = ROWS * COLUMNS;
const uint SIDE_BY_SIDE = COLUMNS % 4u == 0u ? 4u : 1u;
const uint X_WORDS = PART * ROWS / PER_WORD;
const uint X_TEXELS = (X_WORDS + 4u * LANES - 1u) / (4u * LANES);

// Of the block, as vectors of columns: of the group at hand, and sums.
float scales[MAX_COLUMNS];
float zeros[MAX_COLUMNS];
float mins[MAX_COLUMNS];
float parts[MAX_SUMS];
float sums[MAX_SUMS];
int integers[MAX_SUMS];
shared uint results[1024];  // SUMS * LANES: 16 rows of a tile

int block_tile() { return int(gl_WorkGroupID.y * COLUMNS * LANES / 64u); }
int block_row() { return int(gl_WorkGroupID.x * ROWS); }
// Within the tile, of this lane: it has SIDE_BY_SIDE columns that follow each
// other, whose scales are one texel.
int tile_column(uint c) {
  const uint first = gl_WorkGroupID.y * COLUMNS * LANES % 64u;
  return int(first + c / SIDE_BY_SIDE * SIDE_BY_SIDE * LANES +
             c % SIDE_BY_SIDE) +
         lane_index() * int(SIDE_BY_SIDE);
}

// Where the scales of columns from c on are, of group g.
int texel_of(int tile, int g, uint c) {
  return ((tile * args.num_groups + g) * 64 + tile_column(c)) /
         int(SIDE_BY_SIDE);
}

void load_group(int tile, int g) {
  [[unroll]] for (uint c = 0u; c < COLUMNS; c += SIDE_BY_SIDE) {
    const int at = texel_of(tile, g, c);
    vec4 scale;
    if (SCALING != SCALES_END) scale = texelFetch(scale_texels, at);
#ifndef BOOKS
    vec4 zero;
    vec4 least;
    if (HAS_ZERO != 0u) zero = texelFetch(zero_texels, at);
    if (HAS_MIN != 0u) least = texelFetch(min_texels, at);
#endif
    [[unroll]] for (uint i = 0u; i < SIDE_BY_SIDE; ++i) {
      if (SCALING != SCALES_END) scales[c + i] = scale[i];
#ifndef BOOKS
      if (HAS_ZERO != 0u) zeros[c + i] = zero[i];
      if (HAS_MIN != 0u) mins[c + i] = least[i];
#endif
    }
  }
}

// Column 4 * four + i of a chunk: W's factor of a product.
float factor_of(vec4 codes, uint i, uint c) {
  float w = codes[i];
  if (HAS_MIN != 0u) return w * scales[c] + mins[c];
  if (HAS_ZERO != 0u) w = w - zeros[c];
  if (SCALING == SCALES_CODES) w = w * scales[c];
  return w;
}

// The texels of x of a part: those of values i of their words side by side, so
// that one instruction takes a vector of words apart.
void fetch_x(int x_at, out uvec4 x[MAX_X_VECTORS]) {
  [[unroll]] for (uint t = 0u; t < X_TEXELS; ++t) {
    const uvec4 words = texelFetch(x_texels, x_at + int(t * LANES));
    [[unroll]] for (uint i = 0u; i < PER_WORD; ++i) {
      x[t * PER_WORD + i] =
          PER_WORD == 1u
              ? words
              : uvec4(bitfieldExtract(ivec4(words), int(i * (32u / PER_WORD)),
                                      int(32u / PER_WORD)));
    }
  }
}

// Column k of a part in row r.
uint value_of(uvec4 x[MAX_X_VECTORS], uint k, uint r) {
  const uint word = k / PER_WORD * ROWS + r;
  return block_value(x[BLOCK_TEXEL(word) * PER_WORD + k % PER_WORD], word);
}

// Of a part of chunk `s`, to the sums of ROWS_AT_ONCE rows.
void add_products(Chunk chunks[MAX_COLUMNS], uvec4 x[MAX_X_VECTORS], uint s,
                  uint first) {
  const uint values = min(CHUNK_VALUES, PART);
  [[unroll]] for (uint four = 0u; four < values / 4u; ++four) {
    vec4 codes[MAX_COLUMNS];
    ivec4 whole[MAX_COLUMNS];
    [[unroll]] for (uint c = 0u; c < COLUMNS; ++c) {
      if (INTEGER != 0u) {
        whole[c] = decode_whole(chunks[c], four);
        if (HAS_ZERO != 0u) whole[c] -= int(zeros[c]);
      } else {
        codes[c] = decode_four(chunks[c], four);
      }
    }
    [[unroll]] for (uint i = 0u; i < 4u; ++i) {
      float factors[MAX_COLUMNS];
      [[unroll]] for (uint c = 0u; c < COLUMNS; ++c) {
        if (INTEGER == 0u) factors[c] = factor_of(codes[c], i, c);
      }
      [[unroll]] for (uint j = 0u; j < ROWS_AT_ONCE; ++j) {
        const uint r = first + j;
        const uint value = value_of(x, s * CHUNK_VALUES + four * 4u + i, r);
        [[unroll]] for (uint c = 0u; c < COLUMNS; ++c) {
          if (INTEGER != 0u) {
            integers[r * COLUMNS + c] += int(value) * whole[c][i];
          } else {
            parts[r * COLUMNS + c] += uintBitsToFloat(value) * factors[c];
          }
        }
      }
    }
  }
}

#ifdef BOOKS
const uint ROWS_OF_TEXEL = ROWS < 4u ? ROWS : 4u;

// Of the block's rows from `first` on, the words that hold column k.
uvec4 words_at(int k, uint first) {
  const uint rows_at = uint(block_row() * args.columns) / PER_WORD;
  const uint word = rows_at + uint(k) / PER_WORD * ROWS + first;
  return texelFetch(x_texels, int(word / 4u));
}

// Adds the products of a code in column k.
void add_code(uint c, int code, int k) {
  const float factor = factor_of(vec4(float(code)), 0u, c);
  [[unroll]] for (uint first = 0u; first < ROWS; first += ROWS_OF_TEXEL) {
    const uvec4 words = words_at(k, first);
    [[unroll]] for (uint j = 0u; j < ROWS_OF_TEXEL; ++j) {
      const uint r = first + j;
      const uint word = ROWS == 1u ? words[uint(k) / PER_WORD % 4u] : words[j];
      if (INTEGER == 0u) {
        parts[r * COLUMNS + c] += uintBitsToFloat(word) * factor;
        continue;
      }
      const int bits = int(32u / PER_WORD);
      integers[r * COLUMNS + c] +=
          code * bitfieldExtract(int(word), k % int(PER_WORD) * bits, bits);
    }
  }
}

// Those of group g.  All lanes go as far as the one with most.
void add_escapes(int tile, int g) {
  Escapes escapes[MAX_COLUMNS];
  uint most = 0u;
  [[unroll]] for (uint c = 0u; c < COLUMNS; ++c) {
    escapes[c] = escapes_of(tile, g, tile_column(c));
    most = max(most, uint(escapes[c].end - escapes[c].next));
  }
  most = max_of_lanes(most);
  if (most == 0u) return;
  do {
    [[unroll]] for (uint c = 0u; c < COLUMNS; ++c) {
      const int code = take_escape(escapes[c]);
      add_code(c, code, escapes[c].column);
    }
  } while (--most > 0u);
}
#endif

void end_group(int g, int tile) {
  if (SCALING != SCALES_GROUPS) return;
  [[unroll]] for (uint i = 0u; i < SUMS; ++i) {
    const uint c = i % COLUMNS;
    if (INTEGER != 0u) {
      const int sum = integers[i];
      const int n = tile * 64 + tile_column(c);
      sums[i] = fma_exact(g == 0 ? biased(sum, n) : float(sum), scales[c],
                          sums[i]);
      integers[i] = 0;
    } else {
      sums[i] += parts[i] * scales[c];
      parts[i] = 0.0;
    }
  }
}

uint result_of(uint i) {
  if (SCALING == SCALES_GROUPS) return floatBitsToUint(sums[i]);
  return INTEGER != 0u ? uint(integers[i]) : floatBitsToUint(parts[i]);
}

// y[row, n] from what the products gave.
void finish_result(uint result, int row, int n, uint64_t scale_at) {
  const float scale = SCALING == SCALES_END ? load_scale(scale_at) : 1.0;
  precise float sum = uintBitsToFloat(result);
  if (INTEGER == 0u) sum = sum * scale;
  finish_products(sum, int(result), scale, row, n);
}

// The scales of the block's rows, which follow the values.
#define MAX_SCALE_TEXELS 4  // MAX_ROWS / 4
uvec4 fetch_row_scales() {
  const int first = int((args.row_scales - args.values) / 16ul);
  return texelFetch(x_texels, first + block_row() / 4 +
                                  min(lane_index(), MAX_SCALE_TEXELS - 1));
}

void store_direct(int tile) {
  const uvec4 row_scales = fetch_row_scales();
  float column_scales[MAX_COLUMNS];
  [[unroll]] for (uint c = 0u; c < COLUMNS; c += SIDE_BY_SIDE) {
    const vec4 scale = texelFetch(scale_texels, texel_of(tile, 0, c));
    [[unroll]] for (uint i = 0u; i < SIDE_BY_SIDE; ++i) {
      column_scales[c + i] = scale[i];
    }
  }
  [[unroll]] for (uint i = 0u; i < SUMS; ++i) {
    uint result = result_of(i);
    if (EPILOGUE == EPILOGUE_SCALES) {
      precise const float factor =
          uintBitsToFloat(block_value(row_scales, i / COLUMNS)) *
          column_scales[i % COLUMNS];
      precise const float scaled = float(int(result)) * factor;
      result = floatBitsToUint(scaled);
    }
    const int row = block_row() + int(i / COLUMNS);
    const int n = tile * 64 + tile_column(i % COLUMNS);
    if (row >= args.M || n < args.n_begin || n >= args.n_end) continue;
    const int64_t at = row * args.y.stride + (n - args.n_begin);
    U32s(args.y.address + at * 4).v[0] = result;
  }
}

void store_finished(int tile) {
  [[unroll]] for (uint i = 0u; i < SUMS; ++i) {
    results[i * LANES + uint(lane_index())] = result_of(i);
  }
  for (uint i = 0u; i < SUMS; ++i) {
    const int row = block_row() + int(i / COLUMNS);
    const int column = tile_column(i % COLUMNS);
    const int n = tile * 64 + column;
    if (row >= args.M || n < args.n_begin || n >= args.n_end) continue;
    finish_result(results[i * LANES + uint(lane_index())], row, n,
                  uint64_t(tile * args.num_groups) * 64ul + uint64_t(column));
  }
}

// The products of the chunks' first PART columns.
void add_part(Chunk chunks[MAX_STEP][MAX_COLUMNS], inout int x_at) {
  uvec4 x[MAX_X_VECTORS];
  fetch_x(x_at, x);
  x_at += int(X_WORDS / 4u);
  // Few enough that their sums stay in registers.
  [[unroll]] for (uint r = 0u; r < ROWS; r += ROWS_AT_ONCE) {
    [[unroll]] for (uint s = 0u; s < STEP; ++s) {
      add_products(chunks[s], x, s, r);
    }
  }
}

// The products of the chunks at hand, after which the next are.
void add_step(int tile, uvec4 book, inout int codes_at, inout int x_at) {
  Chunk chunks[MAX_STEP][MAX_COLUMNS];
  [[unroll]] for (uint s = 0u; s < STEP; ++s) {
    [[unroll]] for (uint c = 0u; c < COLUMNS; ++c) {
      chunks[s][c] = fetch_chunk(code_texels,
                                 codes_at + int(s * 64u) + tile_column(c));
      chunks[s][c].book = book;
    }
  }
  codes_at += int(STEP * 64u);
  if (PARTS == 1u) {
    add_part(chunks, x_at);
    return;
  }
  uint parts = PARTS;
  do {
    add_part(chunks, x_at);
    [[unroll]] for (uint c = 0u; c < COLUMNS; ++c) {
      drop_words(chunks[0][c], PART / VALUES_PER_WORD);
    }
  } while (--parts > 0u);
}

void main() {
  args = place.v;
  const int tile = block_tile() + args.first_tile;
  [[unroll]] for (uint i = 0u; i < SUMS; ++i) {
    parts[i] = 0.0;
    sums[i] = 0.0;
    integers[i] = 0;
  }
  int codes_at =
      (tile - args.codes_tile) * int(args.tile_bytes / (CHUNK_WORDS * 4u));
  int x_at = block_row() * (args.columns / int(4u * PER_WORD)) + lane_index();
  int g = 0;
  do {
    load_group(tile, g);
    int i = 0;
#ifdef BOOKS
    do {
      const uint column = uint(g * args.group_chunks + i) * CHUNK_VALUES;
      const uvec4 book =
          texelFetch(book_texels, int(book_index(tile, column, args.columns)));
      const int end = min(i + int(BOOK_CHUNKS), args.group_chunks);
      do {
        add_step(tile, book, codes_at, x_at);
      } while ((i += int(STEP)) < end);
    } while (i < args.group_chunks);
    add_escapes(tile, g);
#else
    do {
      add_step(tile, uvec4(0u), codes_at, x_at);
    } while ((i += int(STEP)) < args.group_chunks);
#endif
    end_group(g, tile);
  } while (++g < args.num_groups);
  if (EPILOGUE == EPILOGUE_ANY) {
    store_finished(tile);
  } else {
    store_direct(tile);
  }
}
