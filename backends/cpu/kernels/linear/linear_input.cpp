// SPDX-License-Identifier: Apache-2.0
//
// One row at a time.

#include "backends/cpu/kernels/linear/linear_input.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "tessera/portable_math.h"

namespace tessera::cpu {
namespace {

constexpr int64_t kQ8Block = 32;
constexpr float kF8E4M3Max = 448.0f;

const void* row_of(const ConstRows& rows, int64_t m) {
  const int64_t size = rows.dtype == TSR_F32 ? 4 : 2;
  return static_cast<const char*>(rows.data) + m * rows.row_stride * size;
}

bool is_arranged(const LinearWeight& weight) {
  return !weight.permutation.empty() || !weight.input_multiplier.empty();
}

// x times INPUT_MULTIPLIER, each rounded, then PERMUTATION.
void arrange(const LinearWeight& weight, const float* x, int64_t padded,
             float* out) {
  const auto& permutation = weight.permutation;
  const auto& multiplier = weight.input_multiplier;
  for (int64_t k = 0; k < weight.shape.K; ++k) {
    const auto column = static_cast<size_t>(k);
    const size_t feature =
        permutation.empty() ? column : static_cast<size_t>(permutation[column]);
    out[k] = multiplier.empty() ? x[feature] : x[feature] * multiplier[feature];
  }
  std::fill(out + weight.shape.K, out + padded, 0.0f);
}

// Q8: s8 codes with one scale per 32 values, as the numbers they stand for.
void round_to_q8(const LinearRowOps& row_ops, int64_t K, float* x) {
  uint8_t codes[kQ8Block];
  for (int64_t k = 0; k < K; k += kQ8Block) {
    const int64_t depth = std::min(kQ8Block, K - k);
    const float scale = row_ops.quantize({}, x + k, depth, depth, codes);
    for (int64_t i = 0; i < depth; ++i) {
      x[k + i] = static_cast<float>(codes[i] - 128) * scale;
    }
  }
}

// The nearest E4M3 value, ties to even, of |x| up to 448 and a little.
float round_to_f8e4m3(float x) {
  const float magnitude = tsr_abs_f32(x);
  float rounded = 0.0f;
  if (magnitude < 0x1p-6f) {  // steps of 2^-9
    constexpr float kMagic = TSR_ROUND_MAGIC * 0x1p-9f;
    rounded = (magnitude + kMagic) - kMagic;
  } else {  // three bits of mantissa
    const uint32_t bits = tsr_bits_f32(magnitude);
    const uint32_t odd = bits >> 20 & 1U;
    rounded = tsr_from_bits_f32((bits + 0x7ffffU + odd) & 0xfff00000U);
  }
  return std::copysign(std::min(rounded, kF8E4M3Max), x);
}

// F8: E4M3 codes with one scale per row, as the numbers they stand for.
void round_to_f8(int64_t K, float* x) {
  float amax = 0.0f;
  bool finite = true;
  for (int64_t k = 0; k < K; ++k) {
    finite = finite && std::isfinite(x[k]);
    amax = std::max(amax, tsr_abs_f32(x[k]));
  }
  if (!finite || amax < 0x1p-100f) {
    std::fill(x, x + K, finite ? 0.0f : NAN);
    return;
  }
  const float inv = kF8E4M3Max / amax;
  const float scale = amax * (1.0f / kF8E4M3Max);
  for (int64_t k = 0; k < K; ++k) x[k] = round_to_f8e4m3(x[k] * inv) * scale;
}

// Four 16-bit columns in the order 0, 2, 1, 3.
uint64_t swap_inner(uint64_t four) {
  return (four & 0xffff00000000ffffu) | (four & 0xffff0000u) << 16 |
         (four >> 16 & 0xffff0000u);
}

// Eight columns as paired_column says.
template <int kBits>
void pair_run(const uint16_t* x, uint16_t* out) {
  uint64_t half[2];
  std::memcpy(half, x, sizeof(half));
  const uint64_t low = swap_inner(half[0]);
  const uint64_t high = swap_inner(half[1]);
  if constexpr (kBits == 8) {
    half[0] = low;
    half[1] = high;
  } else {
    half[0] = (low & 0xffffffffu) | high << 32;
    half[1] = low >> 32 | (high & 0xffffffff00000000u);
  }
  std::memcpy(out, half, sizeof(half));
}

// Columns in the order that `weight`'s kernels multiply them in, then zeros.
template <int kBits>
void pair_columns(const LinearWeight& weight, const uint16_t* x,
                  uint16_t* out) {
  constexpr int64_t kRun = 8;  // columns that change places
  const int64_t K = weight.shape.K;
  const int64_t padded = padded_input(K);
  const auto& permutation = weight.permutation;
  int64_t k = 0;
  if (permutation.empty()) {
    k = K / kRun * kRun;
    if constexpr (kBits == 16) {
      std::memcpy(out, x, static_cast<size_t>(k) * sizeof(*x));
    } else {
      for (int64_t i = 0; i < k; i += kRun) pair_run<kBits>(x + i, out + i);
    }
  }
  for (; k < padded; k += kRun) {
    uint16_t run[kRun] = {};
    for (int64_t i = 0; i < kRun && k + i < K; ++i) {
      const int64_t column = k + i;
      run[i] = permutation.empty()
                   ? x[column]
                   : x[permutation[static_cast<size_t>(column)]];
    }
    for (int i = 0; i < kRun; ++i) out[k + i] = run[paired_column(kBits, i)];
  }
}

void prepare_bf16_row(const LinearWeight& weight, const Linear& op, int64_t m,
                      const LinearRowOps& row_ops, const PreparedInput& out) {
  const WeightShape& shape = weight.shape;
  const auto* x = static_cast<const uint16_t*>(op.x.data) + m * op.x.row_stride;
  uint16_t* pairs = out.pairs + m * padded_input(shape.K);
  const TileFormat& row = kTileFormats[shape.tile_format];
  if (row.has_mins || shape.has_zeros) {
    // Groups of columns as they lie in the weight.
    if (!weight.permutation.empty()) pair_columns<16>(weight, x, pairs);
    row_ops.add_up_groups(weight.permutation.empty() ? x : pairs, TSR_BF16,
                          shape.K, shape.group_size,
                          out.group_sums + m * group_sums_stride(shape.K));
  }
  const int bits = code_bits(row.codes);
  if (bits == 4) return pair_columns<4>(weight, x, pairs);
  if (bits == 8) return pair_columns<8>(weight, x, pairs);
  pair_columns<16>(weight, x, pairs);
}

// Kernels add MIN times the sum of x, group by group.
void add_up_min_groups(const LinearWeight& weight, const float* row, int64_t m,
                       const LinearRowOps& row_ops, const PreparedInput& out) {
  const WeightShape& shape = weight.shape;
  if (shape.layout == Layout::kRaw || !kTileFormats[shape.tile_format].has_mins)
    return;
  row_ops.add_up_groups(row, TSR_F32, shape.K, shape.group_size,
                        out.group_sums + m * group_sums_stride(shape.K));
}

}  // namespace

RowQuantization quantization_of(const LinearWeight& weight, const Linear& op,
                                int64_t m) {
  RowQuantization rule;
  uint32_t act_quant = op.act_quant;
  if (act_quant == TSR_ACT_I8_MIX) {
    act_quant = m < op.num_decode_rows ? TSR_ACT_I8_STATIC : TSR_ACT_I8_DYNAMIC;
  }
  switch (act_quant) {
    case TSR_ACT_I4_DYNAMIC:
      rule.max_code = 7.0f;
      rule.lo = -7;
      rule.hi = 7;
      break;
    case TSR_ACT_I8_STATIC:
      rule.is_dynamic = false;
      rule.parameters = *weight.static_activation;
      rule.lo = -128;
      break;
    case TSR_ACT_U8_STATIC:
      rule.is_dynamic = false;
      rule.parameters = *weight.static_activation;
      rule.lo = 0;
      rule.hi = 255;
      rule.offset = 0;
      break;
    default:
      break;
  }
  return rule;
}

namespace {

void quantize_row(const LinearWeight& weight, const Linear& op, int64_t m,
                  const LinearRowOps& row_ops, const float* row,
                  const PreparedInput& out) {
  const int64_t padded = padded_input(weight.shape.K);
  const RowQuantization rule = quantization_of(weight, op, m);
  out.scales[m] = row_ops.quantize(rule, row, weight.shape.K, padded,
                                   out.codes + m * padded);
  out.zeros[m] =
      rule.offset + (rule.is_dynamic ? 0 : rule.parameters.zero_point);
}

}  // namespace

void prepare_row(const LinearWeight& weight, const Linear& op, int64_t m,
                 const LinearRowOps& row_ops, float* scratch,
                 const PreparedInput& out) {
  if (out.kind == Input::kBf16) {
    return prepare_bf16_row(weight, op, m, row_ops, out);
  }
  const int64_t K = weight.shape.K;
  const int64_t padded = padded_input(K);
  const bool is_integer = is_integer_act(op.act_quant);
  if (is_integer && op.x.dtype == TSR_F32 && !is_arranged(weight)) {
    return quantize_row(weight, op, m, row_ops,
                        static_cast<const float*>(row_of(op.x, m)), out);
  }
  float* row = is_integer ? scratch : out.values + m * padded;
  float* widened = is_arranged(weight) ? scratch + padded : row;
  row_ops.widen(row_of(op.x, m), op.x.dtype, K, padded, widened);
  if (widened != row) arrange(weight, widened, padded, row);

  if (op.act_quant == TSR_ACT_Q8) round_to_q8(row_ops, K, row);
  if (op.act_quant == TSR_ACT_F8_DYNAMIC) round_to_f8(K, row);
  if (!is_integer) return add_up_min_groups(weight, row, m, row_ops, out);
  quantize_row(weight, op, m, row_ops, row, out);
}

}  // namespace tessera::cpu
