// SPDX-License-Identifier: Apache-2.0
//
// The small ops, on the vector unit: the portable arithmetic of
// tessera/portable_math.h, so their bits are the same on every device.

#pragma once

#include <cstdint>

#include "backends/npu_sim/function/parallel.hpp"
#include "backends/npu_sim/function/rows.hpp"

namespace tessera::npu {

// y = x * rsqrt(sum(x^2) / D + eps) * weight.
struct RmsNorm {
  int64_t num_rows = 0;
  int64_t D = 0;
  ConstRows x;
  Rows y;
  ConstRows weight;  // row 0
  float eps = 0.0f;
};

// y = (x - mean) * rsqrt(var + eps) * weight + bias; bias may be absent.
struct LayerNorm {
  int64_t num_rows = 0;
  int64_t D = 0;
  ConstRows x;
  Rows y;
  ConstRows weight;
  ConstRows bias;
  float eps = 0.0f;
};

// Rotates the first rotary_dim elements of each head.
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
  uint32_t style = 0;
};

// Ops of each element by itself.
enum class MapKind : uint8_t { kAdd, kSiluMul, kGeluErf, kGeluTanh };
struct Map {
  MapKind kind = MapKind::kAdd;
  int64_t num_rows = 0;
  int64_t D = 0;
  ConstRows a;
  ConstRows b;  // kAdd and kSiluMul
  Rows y;
};

// t = scale * x; e = exp(t - max(t)); y = e / sum(e).
struct Softmax {
  int64_t num_rows = 0;
  int64_t D = 0;
  ConstRows x;
  Rows y;
  float scale = 1.0f;
};

// y[r] = table[ids[r]].
struct Gather {
  int64_t num_rows = 0;
  int64_t D = 0;
  int64_t V = 0;
  ConstRows table;
  const int32_t* ids = nullptr;
  Rows y;
};

// Errors   throw sdk::Error INVALID_ARGUMENT for a position or an id outside
//          its table
void run(const RmsNorm& op, const Parallel& parallel);
void run(const LayerNorm& op, const Parallel& parallel);
void run(const Rope& op, const Parallel& parallel);
void run(const Map& op, const Parallel& parallel);
void run(const Softmax& op, const Parallel& parallel);
void run(const Gather& op, const Parallel& parallel);

}  // namespace tessera::npu
