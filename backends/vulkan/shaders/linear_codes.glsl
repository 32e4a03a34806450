// SPDX-License-Identifier: Apache-2.0
//
// Reading packed codes (tessera/packing/weight_shape.hpp).

#define CODE_F32 0u
#define CODE_F16 1u
#define CODE_BF16 2u
#define CODE_S8 3u
#define CODE_U4 4u
#define CODE_E4M3 5u
#define CODE_E5M2 6u
#define CODE_E2M1 7u
#define CODE_BOOK 8u

layout(constant_id = 1) const uint CODE = 0u;
layout(constant_id = 2) const uint CODE_ZERO = 0u;
layout(constant_id = 3) const uint CHUNK_WORDS = 4u;

const bool IS_NIBBLE =
    CODE == CODE_U4 || CODE == CODE_E2M1 || CODE == CODE_BOOK;
const uint VALUES_PER_WORD = CODE == CODE_F32 ? 1u
                             : CODE <= CODE_BF16 ? 2u
                             : IS_NIBBLE         ? 8u
                                                 : 4u;
const uint CHUNK_VALUES = CHUNK_WORDS * VALUES_PER_WORD;

#define BOOK_VALUES 128u  // columns that a book serves
const uint BOOK_CHUNKS = BOOK_VALUES / CHUNK_VALUES;

// Which book a tile of a weight of so many columns has for a column.
uint book_index(int tile, uint column, int columns) {
  const uint per_row = (uint(columns) + BOOK_VALUES - 1u) / BOOK_VALUES;
  return uint(tile) / 4u * per_row + column / BOOK_VALUES;
}

struct Chunk {
  uint words[4];
  uvec4 book;  // of CODE_BOOK: 16 s8; set by who loads the chunk
};

Chunk load_chunk(uint64_t address) {
  Chunk chunk;
  if (CHUNK_WORDS == 4u) {
    const uvec4 v = U32x4s(address).v[0];
    chunk.words[0] = v.x;
    chunk.words[1] = v.y;
    chunk.words[2] = v.z;
    chunk.words[3] = v.w;
  } else {
    const uvec2 v = U32x2s(address).v[0];
    chunk.words[0] = v.x;
    chunk.words[1] = v.y;
    chunk.words[2] = 0u;
    chunk.words[3] = 0u;
  }
  return chunk;
}

// The same from texels; `texel` counts chunks.
#ifdef BLOCK_FORM
Chunk fetch_chunk(usamplerBuffer codes, int texel) {
  uvec4 v;
  if (CHUNK_WORDS == 4u) {
    v = texelFetch(codes, texel);
  } else {
    const uvec4 two = texelFetch(codes, texel / 2);
    v.xy = texel % 2 == 0 ? two.xy : two.zw;
  }
  return Chunk(uint[](v.x, v.y, v.z, v.w), uvec4(0u));
}
#endif

// Makes the words from `count` on the first.
void drop_words(inout Chunk chunk, uint count) {
  [[unroll]] for (uint i = 0u; i < 4u; ++i) {
    if (i + count < 4u) chunk.words[i] = chunk.words[i + count];
  }
}

uvec4 bytes_of(uint word) {
  return uvec4(word & 0xffu, (word >> 8) & 0xffu, (word >> 16) & 0xffu,
               word >> 24);
}

vec4 decode_e4m3(uint word) {
  const uvec4 code = bytes_of(word);
  const uvec4 magnitude = code & 0x7fu;
  vec4 v = uintBitsToFloat((magnitude << 20) + 0x3c000000u);
  v = mix(v, vec4(magnitude) * 0.001953125, lessThan(magnitude, uvec4(8u)));
  v = mix(v, vec4(NOT_A_NUMBER), equal(magnitude, uvec4(0x7fu)));
  return uintBitsToFloat(floatBitsToUint(v) | ((code & 0x80u) << 24));
}

vec4 decode_nibbles(uint word) {
  const uvec4 code = bytes_of(word & 0x0f0f0f0fu);
  if (CODE == CODE_U4) return vec4(ivec4(code) - int(CODE_ZERO));
  const uvec4 magnitude = code & 7u;
  vec4 v = uintBitsToFloat((magnitude << 22) + 0x3f000000u);
  v = mix(v, vec4(magnitude) * 0.5, lessThan(magnitude, uvec4(2u)));
  return uintBitsToFloat(floatBitsToUint(v) | ((code & 8u) << 28));
}

vec4 halves_of(uint low, uint high) {
  return vec4(f16_to_f32(low & 0xffffu), f16_to_f32(low >> 16),
              f16_to_f32(high & 0xffffu), f16_to_f32(high >> 16));
}

// What the nibble of `word` that begins at bit `shift` stands for.  Its upper
// bits choose a word of the book, and what they are as signs spares a comparison;
// its lower ones shift that word.
int book_entry(uvec4 book, uint word, uint shift) {
  const bool bit_2 = int(word << (29u - shift)) < 0;
  const bool bit_3 = int(word << (28u - shift)) < 0;
  const uint low = bit_2 ? book.y : book.x;
  const uint high = bit_2 ? book.w : book.z;
  const uint behind = shift == 0u ? ~word << 3 : ~word >> (shift - 3u);
  return int((bit_3 ? high : low) << (behind & 24u)) >> 24;
}

// Codes 4 i .. 4 i + 3 of a chunk of CODE_BOOK.
ivec4 decode_book(Chunk chunk, uint i) {
  const uint word = chunk.words[i / 2u];
  const uint shift = 4u * (i & 1u);
  return ivec4(book_entry(chunk.book, word, shift),
               book_entry(chunk.book, word, shift + 8u),
               book_entry(chunk.book, word, shift + 16u),
               book_entry(chunk.book, word, shift + 24u));
}

// Codes 4 i .. 4 i + 3 of a chunk.
vec4 decode_four(Chunk chunk, uint i) {
  if (CODE == CODE_F32) {
    return vec4(uintBitsToFloat(chunk.words[0]),
                uintBitsToFloat(chunk.words[1]),
                uintBitsToFloat(chunk.words[2]),
                uintBitsToFloat(chunk.words[3]));
  }
  if (CODE <= CODE_BF16) {
    const uint low = chunk.words[2u * i];
    const uint high = chunk.words[2u * i + 1u];
    if (CODE == CODE_F16) return halves_of(low, high);
    return uintBitsToFloat(uvec4(low << 16, low & 0xffff0000u, high << 16,
                                 high & 0xffff0000u));
  }
  if (CODE == CODE_BOOK) return vec4(decode_book(chunk, i));
  if (IS_NIBBLE) {
    return decode_nibbles(chunk.words[i / 2u] >> (4u * (i & 1u)));
  }
  const uint word = chunk.words[i];
  if (CODE == CODE_E4M3) return decode_e4m3(word);
  if (CODE == CODE_E5M2) {
    return halves_of(((word & 0xffu) << 8) | ((word & 0xff00u) << 16),
                     ((word & 0xff0000u) >> 8) | (word & 0xff000000u));
  }
  const int bits = int(word);
  return vec4(ivec4(bitfieldExtract(bits, 0, 8), bitfieldExtract(bits, 8, 8),
                    bitfieldExtract(bits, 16, 8), bits >> 24));
}

// Codes 4 i .. 4 i + 3 of a chunk of integers.
ivec4 decode_whole(Chunk chunk, uint i) {
  if (CODE == CODE_BOOK) return decode_book(chunk, i);
  if (IS_NIBBLE) {
    const uint word = chunk.words[i / 2u] >> (4u * (i & 1u));
    return ivec4(bytes_of(word & 0x0f0f0f0fu)) - int(CODE_ZERO);
  }
  const int bits = int(chunk.words[i]);
  return ivec4(bitfieldExtract(bits, 0, 8), bitfieldExtract(bits, 8, 8),
               bitfieldExtract(bits, 16, 8), bits >> 24);
}

// The same as four s8 of a word.
uint decode_bytes(Chunk chunk, uint i) {
  if (CODE == CODE_BOOK) {
    const uvec4 bytes = uvec4(decode_book(chunk, i)) & 0xffu;
    return bytes.x | bytes.y << 8 | bytes.z << 16 | bytes.w << 24;
  }
  if (!IS_NIBBLE) return chunk.words[i];
  const uint codes = chunk.words[i / 2u] >> (4u * (i & 1u)) & 0x0f0f0f0fu;
  // code - 8 in four bits, whose sign the upper four repeat.
  const uint nibbles = codes ^ 0x08080808u;
  return nibbles | (nibbles & 0x08080808u) * 0x1eu;
}
