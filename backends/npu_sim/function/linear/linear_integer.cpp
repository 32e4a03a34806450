// SPDX-License-Identifier: Apache-2.0
//
// Integer linear.  Compiled without FMA contraction; the one fma is spelled
// out.

#include <algorithm>
#include <cmath>
#include <string>

#include "backends/npu_sim/function/activation.hpp"
#include "backends/npu_sim/function/inner_loops.hpp"
#include "backends/npu_sim/function/linear/epilogue.hpp"
#include "backends/npu_sim/function/linear/linear.hpp"
#include "backends/npu_sim/function/linear/linear_input.hpp"
#include "tessera/error.hpp"

namespace tessera::npu {
namespace {

[[noreturn]] void refuse(const std::string& why) {
  throw sdk::Error(TSR_INVALID_ARGUMENT, "linear: " + why);
}

bool has_static_rows(uint32_t act_quant) {
  return act_quant == TSR_ACT_I8_STATIC || act_quant == TSR_ACT_U8_STATIC ||
         act_quant == TSR_ACT_I8_MIX;
}

bool is_static_row(const Linear& op, int64_t m) {
  if (op.act_quant == TSR_ACT_I8_MIX) return m < op.num_decode_rows;
  return has_static_rows(op.act_quant);
}

int32_t lowest_code(uint32_t act_quant) {
  return act_quant == TSR_ACT_U8_STATIC ? 0 : -128;
}

void check(const IntegerWeight& weight, const Linear& op) {
  check_linear(op, weight.N);
  if (op.y.dtype == TSR_I32 && !weight.per_channel) {
    refuse("a weight with groups of " + std::to_string(weight.group_size) +
           " has no single accumulator");
  }
  int64_t max_code = op.act_quant == TSR_ACT_I4_DYNAMIC ? 7 : 127;
  if (has_static_rows(op.act_quant)) {
    if (!weight.rules.static_activation) {
      refuse("static activations without planes act_scale and act_inv");
    }
    const int32_t zero = weight.rules.static_activation->zero_point;
    const int32_t lo = lowest_code(op.act_quant);
    if (zero < lo || zero > lo + 255) {
      refuse("act_zero_point " + std::to_string(zero) + " is not a code");
    }
    max_code = std::max<int64_t>(op.act_quant == TSR_ACT_I8_MIX ? max_code : 0,
                                 std::max(lo + 255 - zero, zero - lo));
  }
  const int64_t largest = INT32_MAX / (max_code * weight.max_integer);
  if (weight.group_size > largest) {
    refuse("K=" + std::to_string(weight.K) +
           " could overflow an i32 accumulator; at most " +
           std::to_string(largest) + " in a group");
  }
}

void quantize_inputs(const IntegerWeight& weight, const Linear& op,
                     LinearScratch& scratch, const Parallel& parallel) {
  const auto rows = static_cast<size_t>(op.M);
  scratch.rows.resize(rows * static_cast<size_t>(weight.K));
  scratch.codes.resize(rows * static_cast<size_t>(weight.K));
  scratch.scales.resize(rows);
  const uint32_t count = num_tasks(op.M);
  const int32_t max_code = op.act_quant == TSR_ACT_I4_DYNAMIC ? 7 : 127;
  parallel.run(count, [&](uint32_t task) {
    std::vector<float> buffer;
    const UnitRange range = units_of(op.M, task, count);
    for (int64_t m = range.begin; m < range.end; ++m) {
      float* row = scratch.rows.data() + m * weight.K;
      int16_t* codes = scratch.codes.data() + m * weight.K;
      read_input(weight.rules, op.x, m, weight.K, buffer, row);
      scratch.scales[static_cast<size_t>(m)] =
          is_static_row(op, m)
              ? quantize_static(row, weight.K, *weight.rules.static_activation,
                                lowest_code(op.act_quant), codes)
              : quantize_dynamic(row, weight.K, max_code, codes);
    }
  });
}

// One launch over columns of a weight.
class Columns {
 public:
  Columns(const IntegerWeight& weight, const Linear& op,
          const AccumulatorPath& path, const LinearScratch& scratch)
      : weight_(weight),
        op_(op),
        scratch_(scratch),
        fixpipe_(path.fixpipe && path.numerics == Numerics::kHw &&
                 weight.per_channel && op.y.dtype != TSR_BF16) {}

  // Columns n .. n + count - 1, at most 16, of all rows.
  void run(int64_t n, int64_t count) const {
    for (int64_t m = 0; m < op_.M; m += kMaxRows) {
      const int64_t rows = std::min(kMaxRows, op_.M - m);
      if (weight_.per_channel) {
        run_per_channel(m, rows, n, count);
      } else {
        run_groups(m, rows, n, count);
      }
    }
  }

 private:
  const int16_t* codes(int64_t m) const {
    return scratch_.codes.data() + m * weight_.K;
  }
  float scale_a(int64_t m) const {
    return scratch_.scales[static_cast<size_t>(m)];
  }

  // The accumulator with QUANT_BIAS, which only the first group has.
  int64_t biased(int64_t n, int64_t group, int32_t acc) const {
    const auto& bias = weight_.rules.quant_bias;
    if (group != 0 || bias.empty()) return acc;
    return int64_t{acc} + bias[static_cast<size_t>(n)];
  }

  float dequantize(int64_t m, int64_t n, int32_t acc) const {
    const int64_t sum = biased(n, 0, acc);
    const float scale = scale_a(m) * weight_.scales[static_cast<size_t>(n)];
    if (fixpipe_ && is_static_row(op_, m) && !std::isnan(scale)) {
      FixpipeScale word;
      word.positive = fixpipe_scale(scale, Numerics::kHw);
      word.negative = word.positive;
      const auto clamped =
          static_cast<int32_t>(std::clamp<int64_t>(sum, INT32_MIN, INT32_MAX));
      return f32_from_f16(deqf16(clamped, word));
    }
    return static_cast<float>(sum) * scale;
  }

  void run_per_channel(int64_t m, int64_t rows, int64_t n,
                       int64_t count) const {
    int32_t acc[kTileColumns][kMaxRows];
    for (int64_t j = 0; j < count; ++j) {
      inner_loops().dot_i16(codes(m), weight_.K, rows,
                            weight_.codes.data() + (n + j) * weight_.K,
                            weight_.K, acc[j]);
    }
    for (int64_t r = 0; r < rows; ++r) {
      float values[kTileColumns];
      int32_t raw[kTileColumns];
      for (int64_t j = 0; j < count; ++j) raw[j] = acc[j][r];
      if (op_.y.dtype == TSR_I32) {
        store_accumulators(op_, m + r, n, count, raw);
        continue;
      }
      for (int64_t j = 0; j < count; ++j) {
        values[j] = dequantize(m + r, n + j, raw[j]);
      }
      finish_columns(op_, m + r, n, count, values);
    }
  }

  void run_groups(int64_t m, int64_t rows, int64_t n, int64_t count) const {
    float sums[kTileColumns][kMaxRows] = {};
    const int64_t groups = weight_.num_groups();
    for (int64_t j = 0; j < count; ++j) {
      for (int64_t g = 0; g < groups; ++g) {
        const int64_t k = g * weight_.group_size;
        const int64_t width = std::min(weight_.group_size, weight_.K - k);
        int32_t acc[kMaxRows];
        inner_loops().dot_i16(codes(m) + k, weight_.K, rows,
                              weight_.codes.data() + (n + j) * weight_.K + k,
                              width, acc);
        const float scale =
            weight_.scales[static_cast<size_t>((n + j) * groups + g)];
        for (int64_t r = 0; r < rows; ++r) {
          const auto sum = static_cast<float>(biased(n + j, g, acc[r]));
          sums[j][r] = std::fma(sum, scale, sums[j][r]);
        }
      }
    }
    for (int64_t r = 0; r < rows; ++r) {
      float values[kTileColumns];
      for (int64_t j = 0; j < count; ++j) {
        const float scale =
            scale_a(m + r) * weight_.scale2[static_cast<size_t>(n + j)];
        values[j] = sums[j][r] * scale;
      }
      finish_columns(op_, m + r, n, count, values);
    }
  }

  const IntegerWeight& weight_;
  const Linear& op_;
  const LinearScratch& scratch_;
  bool fixpipe_;
};

}  // namespace

void linear(const IntegerWeight& weight, const Linear& op,
            const AccumulatorPath& path, LinearScratch& scratch,
            const Parallel& parallel) {
  check(weight, op);
  if (op.M == 0) return;
  quantize_inputs(weight, op, scratch, parallel);
  const Columns columns(weight, op, path, scratch);
  const int64_t tiles =
      (op.n_end - op.n_begin + kTileColumns - 1) / kTileColumns;
  const uint32_t count = num_tasks(tiles);
  parallel.run(count, [&](uint32_t task) {
    const UnitRange range = units_of(tiles, task, count);
    for (int64_t t = range.begin; t < range.end; ++t) {
      const int64_t n = op.n_begin + t * kTileColumns;
      columns.run(n, std::min(kTileColumns, op.n_end - n));
    }
  });
}

}  // namespace tessera::npu
