#version 460
// SPDX-License-Identifier: Apache-2.0
//
// Y = epilogue(X . W^T) for many rows, by products of small matrices: integers
// (KIND_S8: x is bytes, see linear_dot.comp) or f16 (KIND_F16) with sums of f32.
// A work-group has 64 rows and a tile of 64 columns; each of its four subgroups
// has a quarter.  NATIVE_MATRIX: a subgroup's instruction; else its lanes do what
// it would, so that all around it can be tested on any device.
#extension GL_GOOGLE_include_directive : require
#define BLOCK_FORM
#include "base.glsl"
#extension GL_KHR_shader_subgroup_basic : require
#ifdef NATIVE_MATRIX
#extension GL_KHR_memory_scope_semantics : require
#extension GL_KHR_cooperative_matrix : require
#endif
#include "dot.glsl"
#include "linear_codes.glsl"
#include "linear.glsl"

uint escape_at(int at) {
  return load_half(args.escapes + uint64_t(at) * 2ul);
}
#include "linear_escapes.glsl"

layout(local_size_x_id = 31) in;
layout(constant_id = 31) const uint WORKERS = 32u;  // 4 * LANES
layout(constant_id = 11) const uint IS_SHIFTED = 0u;
// Of the small matrices: A is [TM, TK], B is [TK, TN].
layout(constant_id = 12) const uint TM = 16u;
layout(constant_id = 13) const uint TN = 16u;
layout(constant_id = 14) const uint TK = 16u;

#define TILE 64u       // rows of x, and of W
#define WAVE 32u       // of both that a subgroup has
#define STEP_WORDS 16u  // of a row of x or of W at a time
#define STRIDE 20u     // between rows in shared memory: no bank has two
#define MAX_MATRICES 16
#define MAX_SUMS 256   // TM * TN at most

#ifdef KIND_S8
#define SUM int
#define VALUES_OF_WORD 4u
#else
#define SUM float
#define VALUES_OF_WORD 2u
#endif
const uint MATRIX_ROWS = WAVE / TM;
const uint MATRIX_COLUMNS = WAVE / TN;
const uint K_WORDS = TK / VALUES_OF_WORD;

shared uint rows[TILE * STRIDE];
shared uint columns[TILE * STRIDE];
shared SUM results[4 * MAX_SUMS];
shared int codes_sums[TILE];
shared Escapes escapes[TILE];

uint wave() { return gl_SubgroupID; }
uint wave_row() { return wave() / 2u * WAVE; }
uint wave_column() { return wave() % 2u * WAVE; }

// ---- Small matrices -----------------------------------------------------------

#ifdef NATIVE_MATRIX
#ifdef KIND_S8
#define VALUE int8_t
#else
#extension GL_EXT_shader_explicit_arithmetic_types_float16 : require
#define VALUE float16_t
#endif
#define MATRIX_A coopmat<VALUE, gl_ScopeSubgroup, TM, TK, gl_MatrixUseA>
#define MATRIX_B coopmat<VALUE, gl_ScopeSubgroup, TK, TN, gl_MatrixUseB>
#define MATRIX_SUMS coopmat<SUM, gl_ScopeSubgroup, TM, TN, gl_MatrixUseAccumulator>

MATRIX_SUMS sums[MAX_MATRICES];

void clear_sums(uint i) { sums[i] = MATRIX_SUMS(SUM(0)); }
// Adds the products of the matrices that begin at those words.
void multiply(uint i, uint a_at, uint b_at) {
  MATRIX_A a;
  MATRIX_B b;
  coopMatLoad(a, rows, a_at, STRIDE, gl_CooperativeMatrixLayoutRowMajor);
  coopMatLoad(b, columns, b_at, STRIDE, gl_CooperativeMatrixLayoutColumnMajor);
  sums[i] = coopMatMulAdd(a, b, sums[i]);
}
void store_sums(uint i) {
  coopMatStore(sums[i], results, wave() * MAX_SUMS, TN,
               gl_CooperativeMatrixLayoutRowMajor);
}
#else
// Element e * LANES + lane of a matrix is the lane's.
#define MAX_LANE_SUMS 64
SUM sums[MAX_MATRICES * MAX_LANE_SUMS];
const uint LANE_SUMS = TM * TN / LANES;

SUM dot_words(uint a, uint b) {
#ifdef KIND_S8
  return dot_four(int(a), int(b));
#else
  return dot(unpackHalf2x16(a), unpackHalf2x16(b));
#endif
}

void clear_sums(uint i) {
  for (uint e = 0u; e < LANE_SUMS; ++e) sums[i * LANE_SUMS + e] = SUM(0);
}
void multiply(uint i, uint a_at, uint b_at) {
  for (uint e = 0u; e < LANE_SUMS; ++e) {
    const uint at = e * LANES + gl_SubgroupInvocationID;
    const uint a = a_at + at / TN * STRIDE;
    const uint b = b_at + at % TN * STRIDE;
    for (uint k = 0u; k < K_WORDS; ++k) {
      sums[i * LANE_SUMS + e] += dot_words(rows[a + k], columns[b + k]);
    }
  }
}
void store_sums(uint i) {
  for (uint e = 0u; e < LANE_SUMS; ++e) {
    results[wave() * MAX_SUMS + e * LANES + gl_SubgroupInvocationID] =
        sums[i * LANE_SUMS + e];
  }
}
#endif

// ---- From memory ----------------------------------------------------------------

// Sixteen bytes of x's row: zeros beyond its end and below the last row.
uvec4 load_values(int row, uint word) {
  const uint row_words = uint(args.columns) / VALUES_OF_WORD;
  if (row >= args.M || word >= row_words) return uvec4(0u);
  return U32x4s(args.values +
                (uint64_t(row) * uint64_t(row_words) + uint64_t(word)) * 4ul)
      .v[0];
}

// The same of W's row, as s8 or f16.
uvec4 load_codes(int tile, uint r, uint word) {
  if (word >= uint(args.columns) / VALUES_OF_WORD) return uvec4(0u);
  const uint column = word * VALUES_OF_WORD;
  Chunk chunk =
      load_chunk(args.codes + uint64_t(tile) * args.tile_bytes +
                 uint64_t((column / CHUNK_VALUES * TILE + r) * 16u));
  if (CODE == CODE_BOOK) chunk.book = load_book(tile, column);
  const uint first = column % CHUNK_VALUES / 4u;
#ifdef KIND_S8
  return uvec4(decode_bytes(chunk, first), decode_bytes(chunk, first + 1u),
               decode_bytes(chunk, first + 2u), decode_bytes(chunk, first + 3u));
#else
  if (CODE == CODE_F16) {
    return uvec4(chunk.words[0], chunk.words[1], chunk.words[2],
                 chunk.words[3]);
  }
  // Codes of up to eight bits are f16 exactly.
  const vec4 low = decode_four(chunk, first);
  const vec4 high = decode_four(chunk, first + 1u);
  return uvec4(packHalf2x16(low.xy), packHalf2x16(low.zw),
               packHalf2x16(high.xy), packHalf2x16(high.zw));
#endif
}

void load_step(int first_row, int tile, uint word) {
  for (uint i = gl_LocalInvocationIndex; i < TILE * STEP_WORDS / 4u;
       i += WORKERS) {
    const uint r = i / (STEP_WORDS / 4u);
    const uint part = i % (STEP_WORDS / 4u) * 4u;
    const uint at = r * STRIDE + part;
    const uvec4 x = load_values(first_row + int(r), word + part);
    const uvec4 w = load_codes(tile, r, word + part);
    rows[at] = x.x;
    rows[at + 1u] = x.y;
    rows[at + 2u] = x.z;
    rows[at + 3u] = x.w;
    columns[at] = w.x;
    columns[at + 1u] = w.y;
    columns[at + 2u] = w.z;
    columns[at + 3u] = w.w;
    if (IS_SHIFTED != 0u) {
      const ivec4 bytes = ivec4(w);
      atomicAdd(codes_sums[r], dot_four(bytes.x, 0x01010101) +
                                   dot_four(bytes.y, 0x01010101) +
                                   dot_four(bytes.z, 0x01010101) +
                                   dot_four(bytes.w, 0x01010101));
    }
  }
}

// Puts the escapes of the step to the words that load_step() filled.
void put_escapes(uint word) {
  const int begin = int(word * VALUES_OF_WORD);
  const int end = begin + int(STEP_WORDS * VALUES_OF_WORD);
  for (uint r = gl_LocalInvocationIndex; r < TILE; r += WORKERS) {
    Escapes left = escapes[r];
    while (left.next < left.end) {
      Escapes after = left;
      const int code = take_escape(after);
      if (after.column >= end) break;
      left = after;
      const uint column = uint(left.column - begin);
      const uint shift = column % VALUES_OF_WORD * (32u / VALUES_OF_WORD);
#ifdef KIND_S8
      const uint bits = uint(code) & 0xffu;
#else
      const uint bits = packHalf2x16(vec2(float(code), 0.0));
#endif
      columns[r * STRIDE + column / VALUES_OF_WORD] |= bits << shift;
      if (IS_SHIFTED != 0u) codes_sums[r] += code;
    }
    escapes[r] = left;
  }
}

// ---- To memory --------------------------------------------------------------------

void finish_sum(SUM sum, int row, int column, int tile) {
  const int n = tile * int(TILE) + column;
  if (row >= args.M || n < args.n_begin || n >= args.n_end) return;
  const float scale = load_scale(uint64_t(n));
#ifdef KIND_S8
  int integer = sum;
  if (IS_SHIFTED != 0u) {
    integer -= I32s(args.row_shifts).v[row] * codes_sums[column];
  }
  finish_products(0.0, integer, scale, row, n);
#else
  precise const float scaled = sum * scale;
  finish_products(scaled, 0, scale, row, n);
#endif
}

void main() {
  args = place.v;
  const int tile = args.n_begin / int(TILE) + int(gl_WorkGroupID.x);
  const int first_row = int(gl_WorkGroupID.y * TILE);
  for (uint i = 0u; i < MATRIX_ROWS * MATRIX_COLUMNS; ++i) clear_sums(i);
  for (uint i = gl_LocalInvocationIndex; i < TILE; i += WORKERS) {
    codes_sums[i] = 0;
    if (CODE == CODE_BOOK) escapes[i] = escapes_of(tile, 0, int(i));
  }
  barrier();
  const uint row_words = uint(args.columns) / VALUES_OF_WORD;
  for (uint word = 0u; word < row_words; word += STEP_WORDS) {
    load_step(first_row, tile, word);
    barrier();
    if (CODE == CODE_BOOK) {
      put_escapes(word);
      barrier();
    }
    for (uint k = 0u; k < STEP_WORDS; k += K_WORDS) {
      [[unroll]] for (uint i = 0u; i < MATRIX_ROWS; ++i) {
        [[unroll]] for (uint j = 0u; j < MATRIX_COLUMNS; ++j) {
          multiply(i * MATRIX_COLUMNS + j,
                   (wave_row() + i * TM) * STRIDE + k,
                   (wave_column() + j * TN) * STRIDE + k);
        }
      }
    }
    barrier();
  }
  [[unroll]] for (uint i = 0u; i < MATRIX_ROWS; ++i) {
    [[unroll]] for (uint j = 0u; j < MATRIX_COLUMNS; ++j) {
      store_sums(i * MATRIX_COLUMNS + j);
      barrier();
      for (uint e = gl_SubgroupInvocationID; e < TM * TN; e += LANES) {
        finish_sum(results[wave() * MAX_SUMS + e],
                   first_row + int(wave_row() + i * TM + e / TN),
                   int(wave_column() + j * TN + e % TN), tile);
      }
      barrier();
    }
  }
}
