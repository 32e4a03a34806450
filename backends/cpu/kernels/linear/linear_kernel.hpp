// SPDX-License-Identifier: Apache-2.0
//
// Which linear kernels exist, and what each is given: the sums of up to
// kChunkRows x kChunkCols outputs at a time.  Dispatch, tests and benchmarks
// all read the table.

#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "backends/cpu/kernels/isa.hpp"
#include "backends/cpu/kernels/linear/expand_rows.hpp"
#include "backends/cpu/kernels/linear/weight.hpp"
#include "backends/cpu/kernels/ops/ops.hpp"

namespace tessera::cpu {

// The unit of work.  A chunk's columns begin at a multiple of kTileCols.
inline constexpr int64_t kChunkRows = 256;
inline constexpr int64_t kChunkCols = 64;
// Columns of K that a kernel decodes to f32 at a time: a panel of 64 x 256 is
// 64 KiB and stays in L2 beside the sums.
inline constexpr int64_t kPanelDepth = 256;
inline constexpr int64_t kPanelFloats = kChunkCols * kPanelDepth;
// Rows of x are padded with zeros to a multiple of this.
inline constexpr int64_t kInputPadding = 64;

// sums[m, j] = sum over k of x[m, k] * w[n_begin + j, k] without SCALE2 of a
// tiled weight; num_cols <= kChunkCols, M <= kChunkRows.
struct FloatWork {
  const LinearWeight* weight;
  int64_t M;
  const float* x;       // [M, K padded], of Input::kF32
  const uint16_t* x16;  // likewise, of Input::kBf16
  int64_t x_stride;
  const float* x_sums;  // [M, groups], of Input::kBf16 and formats with mins
  int64_t x_sums_stride;
  int64_t n_begin;
  int64_t num_cols;
  float* sums;   // [M, kChunkCols]; columns up to the tile's end are written
  float* panel;  // scratch, kPanelFloats
};

// sums[m, j] = sum over the k of group `group` of (x[m, k] - zeros[m]) *
// (w[n_begin + j, k] - its zero point), modulo 2^32.
struct IntegerWork {
  const LinearWeight* weight;
  int64_t M;
  const uint8_t* x;  // [M, K padded]
  int64_t x_stride;
  const int32_t* x_zeros;  // [M]
  int64_t n_begin;
  int64_t num_cols;
  int64_t group;
  int32_t* sums;  // [M, kChunkCols]
  // To what `sums` holds.  Kernels of kI8Tiles leave zero points of x aside:
  // the weight's sums of codes are those of all slices of K, and the first
  // slice took them off.  Only for them and kernels of kAny.
  bool adds = false;
};

// groups[m, j] = fma(f32(sum of group g), scale_g, groups[m, j]) for ascending
// g, from 0: the sums are those of IntegerWork.
struct GroupsWork {
  const LinearWeight* weight;
  int64_t M;
  const uint8_t* x;  // [M, K padded]
  int64_t x_stride;
  const int32_t* x_zeros;  // [M]
  int64_t n_begin;
  int64_t num_cols;
  float* groups;  // [M, kChunkCols]; columns up to the tile's end are written
};

// What weights a kernel reads.
enum class WeightKind {
  kF32Rows,  // has_dense_rows()
  kF16Rows,
  kI8Tiles,      // layout kI8Tiles
  kU4Tiles,      // layout kU4Tiles
  kSparseTiles,  // layout kSparseTiles, one group
  kFormatRows,   // the tiles of row `tile_format` of kTileFormats
  kRaw,          // layout kRaw
  kAny,
};

// How rows of x are prepared.
enum class Input {
  kF32,
  kBf16,   // x as it comes, columns in pairs as paired_column says
  kCodes,  // quantized
};

// For float act_quants if `run_float` is set, for integer ones if
// `run_integer` is.
struct LinearKernel {
  std::string name;
  Isa isa;
  WeightKind weight;
  int tile_format;
  Input input;
  int64_t max_M;        // for steps of at most so many rows; 0: any
  bool needs_no_zeros;  // a weight with a ZERO_POINT plane takes another row
  void (*run_float)(const FloatWork& work);
  void (*run_integer)(const IntegerWork& work);
  // All groups at once; null: run_integer group by group.
  void (*run_groups)(const GroupsWork& work) = nullptr;
  int64_t min_M = 1;  // for steps of at least so many rows
  // What chunks of the weight go through first, so that the kernel is given
  // tiles of 8-bit codes; null if it reads them as stored.
  ExpandRows expand = nullptr;
};

// All rows, best first.
std::span<const LinearKernel> linear_kernels();

// What a kernel is chosen by.
struct LinearQuestion {
  const WeightShape* shape;
  bool has_dense_rows;
  bool is_integer;
  bool is_bf16;  // x is BF16, and is multiplied as it comes
  int64_t M;
};

// True if the row computes this op on this weight, its ISA aside.
bool fits(const LinearKernel& kernel, const LinearQuestion& question);

// The first row that fits and that `best` can run; null if there is none.  In
// linear_kernels() there is, unless the layout is kSparseTiles.
const LinearKernel* find_linear_kernel(std::span<const LinearKernel> table,
                                       const LinearQuestion& question,
                                       Isa best);

// ---- What surrounds the sums, one set per ISA ------------------------------

// Codes of one row, numerics.md section 1: code + offset as u8, so that the
// code's zero point becomes offset + zero_point.
struct RowQuantization {
  bool is_dynamic = true;
  float max_code = 127.0f;  // dynamic: 127 or 7
  StaticActivation parameters;
  int32_t lo = -127;
  int32_t hi = 127;
  int32_t offset = 128;  // 128 for s8 codes, 0 for u8
};

// y[m, n] from sums, for one chunk: factor, bias, activation function,
// multiplier, residual; numerics.md section 1.
struct Finish {
  int64_t M;
  int64_t num_cols;
  const void* sums;  // [M, num_cols], i32 or f32
  int64_t sums_stride = kChunkCols;
  bool sums_are_i32;
  // sum * (row_scale[m] * col_scale[j]), either may be null.
  const float* row_scale;
  const float* col_scale;
  const float* bias;  // of the first column, or null
  uint32_t activation;
  ConstRows multiplier;  // of the first row and column, or data null
  ConstRows residual;
  Rows y;
};

struct LinearRowOps {
  // Widens x[0 .. K) to f32 and fills up to `padded` with zeros.
  void (*widen)(const void* x, uint32_t dtype, int64_t K, int64_t padded,
                float* out);
  // Returns the scale; NaN if x is not finite, and then all codes are zero
  // points.  x is finite or not up to K; codes from K to padded are zero.
  float (*quantize)(const RowQuantization& rule, const float* x, int64_t K,
                    int64_t padded, uint8_t* out);
  // groups[m, j] = fma(sums[m, j], scales[j], groups[m, j]), over one chunk.
  void (*add_group)(const int32_t* sums, const float* scales, int64_t M,
                    int64_t num_cols, float* groups);
  void (*finish)(const Finish& work);
  // out[g] = sum of x[group_size g .. group_size (g + 1) - 1], up to K.
  void (*add_up_groups)(const void* x, uint32_t dtype, int64_t K,
                        int64_t group_size, float* out);
};

const LinearRowOps& linear_row_ops(Isa best);

// One kernel for each row of kTileFormats.
template <int kCount>
struct FormatKernels {
  void (*of[kCount])(const FloatWork&);
};

// The kernels of one ISA, as the file built for it hands them out.
struct FloatKernelSet {
  void (*f32_rows)(const FloatWork&);
  void (*f16_rows)(const FloatWork&);
  void (*raw)(const FloatWork&);  // layout kRaw, any M
  FormatKernels<kNumTileFormats> few_rows;
  FormatKernels<kNumTileFormats> panels;  // any M
};
const FloatKernelSet& float_kernels_scalar();
const FloatKernelSet& float_kernels_avx2();
const FloatKernelSet& float_kernels_avx512();
const LinearRowOps& linear_row_ops_scalar();
const LinearRowOps& linear_row_ops_avx2();
const LinearRowOps& linear_row_ops_avx512();

// 16-bit inputs: any of kTileFormats.
struct Bf16KernelSet {
  FormatKernels<kNumTileFormats> few_rows;
  FormatKernels<kNumTileFormats> panels;
};
const Bf16KernelSet& bf16_kernels_avx512bf16();

// What tiles of AMX multiply.
struct AmxKernelSet {
  FormatKernels<kNumTileFormats> bf16_panels;
  void (*integer_i8)(const IntegerWork&);
  void (*integer_groups_i8)(const GroupsWork&);
};
const AmxKernelSet& amx_kernels();

// The rows of the table that such a set makes.
std::vector<LinearKernel> amx_linear_kernels(const AmxKernelSet& set);

// Any weight with integers, in plain C++.
void integer_any_scalar(const IntegerWork& work);
void integer_i8_tiles_avx2(const IntegerWork& work);
void integer_u4_tiles_avx2(const IntegerWork& work);
void integer_i8_tiles_avx512vnni(const IntegerWork& work);
void integer_u4_tiles_avx512vnni(const IntegerWork& work);
void integer_groups_u4_avx512vnni(const GroupsWork& work);
void integer_sparse_avx512bf16(const IntegerWork& work);

}  // namespace tessera::cpu
