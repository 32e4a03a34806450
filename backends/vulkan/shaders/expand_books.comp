#version 460
// SPDX-License-Identifier: Apache-2.0
//
// Tiles of CODE_BOOK as tiles of CODE_S8, for steps of so many rows that their
// blocks would look a nibble up more often than it takes to keep what it stands
// for.  A lane has a row of a tile.
#extension GL_GOOGLE_include_directive : require
#define BLOCK_FORM
#include "base.glsl"
#include "block.glsl"
#include "linear_codes.glsl"

#define EXPANDED_CHUNK 16u  // codes, 16 bytes

struct Args {
  uint64_t expanded;  // [tiles][columns / 16][64][16]
  uint64_t starts;
  int first_tile;  // of the weight's, the first of `expanded`
  int columns;
  int num_groups;
  int group_chunks;
};
READ_ARGS_ONCE(Args)

layout(binding = 0) uniform usamplerBuffer code_texels;
layout(binding = 1) uniform usamplerBuffer book_texels;
layout(binding = 2) uniform usamplerBuffer escape_texels;

uint escape_at(int at) { return texelFetch(escape_texels, at).x; }
#include "linear_escapes.glsl"

uint64_t row_place;  // where the codes of the lane's row begin

uint64_t place_of(uint column) {
  return row_place + uint64_t(column / EXPANDED_CHUNK * EXPANDED_CHUNK * 64u +
                              column % EXPANDED_CHUNK);
}

void store_chunk(Chunk chunk, uint column) {
  [[unroll]] for (uint i = 0u; i < CHUNK_VALUES / 4u; i += 4u) {
    U32x4s(place_of(column + 4u * i)).v[0] =
        uvec4(decode_bytes(chunk, i), decode_bytes(chunk, i + 1u),
              decode_bytes(chunk, i + 2u), decode_bytes(chunk, i + 3u));
  }
}

// Those of group g, to where the books have left zeros.  Words are the lane's
// own, so nobody else writes them.
void put_escapes(int tile, int g, int row) {
  Escapes escapes = escapes_of(tile, g, row);
  do {
    const uint code = uint(take_escape(escapes)) & 0xffu;
    const uint column = uint(escapes.column);
    U32s word = U32s(place_of(column & ~3u));
    word.v[0] |= code << (column % 4u * 8u);
  } while (escapes.next < escapes.end);
}

void main() {
  args = place.v;
  const int first_row = int(gl_WorkGroupID.x * LANES);
  const int row = first_row % 64 + lane_index();
  const int tile = args.first_tile + first_row / 64;
  row_place = args.expanded + uint64_t(first_row / 64) *
                                  uint64_t(args.columns * 64) +
              uint64_t(uint(row) * EXPANDED_CHUNK);
  int codes_at = tile * args.num_groups * args.group_chunks * 64 + row;
  uint column = 0u;
  int g = 0;
  do {
    int i = 0;
    do {
      const uvec4 book =
          texelFetch(book_texels, int(book_index(tile, column, args.columns)));
      const int end = min(i + int(BOOK_CHUNKS), args.group_chunks);
      do {
        Chunk chunk = fetch_chunk(code_texels, codes_at);
        chunk.book = book;
        store_chunk(chunk, column);
        codes_at += 64;
        column += CHUNK_VALUES;
      } while (++i < end);
    } while (i < args.group_chunks);
    put_escapes(tile, g, row);
  } while (++g < args.num_groups);
}
