// SPDX-License-Identifier: Apache-2.0
//
// The small ops as functions of pointers and shapes.  Every one is *portable*:
// it does the operations of tessera/portable_math.h in that order, so all ISAs,
// all thread counts and all devices that follow the header give the same bits.
//
// Conventions for every op below:
//
//   Types    tensors F32, F16 or BF16, each its own; f32 inside, and one
//            rounding to nearest even at the end
//   Rows     row r of a tensor starts at element r * row_stride; y may be x
//   Errors   throw tessera::sdk::Error: INVALID_ARGUMENT if a type, size or
//   stride
//            makes no sense, naming it; y is then untouched
//   Threads  rows are shared out; the result does not depend on how

#pragma once

#include <stdint.h>

#include "backends/cpu/kernels/isa.hpp"
#include "backends/cpu/kernels/parallel.hpp"
#include "tessera/types.h"

namespace tessera::cpu {

struct ConstRows {
  const void* data = nullptr;
  uint32_t dtype = TSR_DTYPE_NONE;
  int64_t row_stride = 0;  // elements
};

struct Rows {
  void* data = nullptr;
  uint32_t dtype = TSR_DTYPE_NONE;
  int64_t row_stride = 0;  // elements
};

struct ConstVector {
  const void* data = nullptr;
  uint32_t dtype = TSR_DTYPE_NONE;
};

// y = x * (1 / sqrt(sum(x^2) / D + eps)) * weight, each step rounded.
//
// Shapes   x, y [num_rows, D]; weight [D]
struct RmsNorm {
  int64_t num_rows = 0;
  int64_t D = 0;
  ConstRows x;
  Rows y;
  ConstVector weight;
  float eps = 0.0f;
};

// mean = sum(x) / D; d = x - mean;
// y = d * (1 / sqrt(sum(d^2) / D + eps)) * weight + bias, each step rounded.
//
// Shapes   x, y [num_rows, D]; weight, bias [D]
struct LayerNorm {
  int64_t num_rows = 0;
  int64_t D = 0;
  ConstRows x;
  Rows y;
  ConstVector weight;
  ConstVector bias;
  float eps = 0.0f;
};

// Rotates the first rotary_dim elements of each head by the angles of row
// positions[r] of `table`, and copies the others.
//
// Shapes   x, y [num_rows, num_heads * head_dim]; positions [num_rows]; table
//          [max_positions, rotary_dim], a row is cos[rotary_dim / 2], then sin
// Errors   also INVALID_ARGUMENT if a position is not in the table
struct Rope {
  int64_t num_rows = 0;
  int64_t num_heads = 0;
  int64_t head_dim = 0;
  ConstRows x;
  Rows y;
  const int32_t* positions = nullptr;
  const float* table = nullptr;
  int64_t max_positions = 0;
  int64_t rotary_dim = 0;
  uint32_t style = 0;  // TSR_ROPE_HALF or TSR_ROPE_INTERLEAVED
};

// y = a + b.
struct Add {
  int64_t num_rows = 0;
  int64_t D = 0;
  ConstRows a;
  ConstRows b;
  Rows y;
};

// y = tsr_silu_f32(a) * b.
struct SiluMul {
  int64_t num_rows = 0;
  int64_t D = 0;
  ConstRows a;
  ConstRows b;
  Rows y;
};

// y = tsr_gelu_erf_f32(x) or tsr_gelu_tanh_f32(x).
struct Gelu {
  int64_t num_rows = 0;
  int64_t D = 0;
  ConstRows x;
  Rows y;
  uint32_t variant = 0;  // TSR_EPILOGUE_GELU_ERF or TSR_EPILOGUE_GELU_TANH
};

// t = scale * x; e = tsr_exp_f32(t - max(t)); y = e / sum(e).
struct Softmax {
  int64_t num_rows = 0;
  int64_t D = 0;
  ConstRows x;
  Rows y;
  float scale = 1.0f;
};

// y[r] = table[ids[r]]: the embedding, and gather_rows.
//
// Shapes   table [V, D]; ids [num_rows]; y [num_rows, D]
// Errors   also INVALID_ARGUMENT if an id is not in the table
struct Gather {
  int64_t num_rows = 0;
  int64_t D = 0;
  int64_t V = 0;
  ConstRows table;
  const int32_t* ids = nullptr;
  Rows y;
};

// Where and how an op runs.
// Which many-row products go to oneDNN, where it has fast code for them.
enum class UseOneDnn {
  kAuto,    // those that it is faster at on this machine
  kAlways,  // all that it can do
  kNever,
};

struct Exec {
  const Parallel* parallel = nullptr;
  Isa isa = Isa::kScalar;  // the best that may be used
  UseOneDnn use_onednn = UseOneDnn::kAuto;
};

// Compute y.
void run(const RmsNorm& op, const Exec& exec);
void run(const LayerNorm& op, const Exec& exec);
void run(const Rope& op, const Exec& exec);
void run(const Add& op, const Exec& exec);
void run(const SiluMul& op, const Exec& exec);
void run(const Gelu& op, const Exec& exec);
void run(const Softmax& op, const Exec& exec);
void run(const Gather& op, const Exec& exec);

}  // namespace tessera::cpu
