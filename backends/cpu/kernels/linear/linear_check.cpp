// SPDX-License-Identifier: Apache-2.0
//
// Checks of a linear op, and the addresses of its epilogue.

#include "backends/cpu/kernels/linear/linear_check.hpp"

#include <algorithm>
#include <cstdlib>
#include <limits>
#include <string>

#include "backends/cpu/kernels/linear/decode.hpp"
#include "backends/cpu/kernels/linear/linear_input.hpp"
#include "backends/cpu/kernels/linear/weight_planes.hpp"
#include "tessera/error.hpp"

namespace tessera::cpu {
namespace {

[[noreturn]] void refuse(const std::string& why) {
  throw sdk::Error(TSR_INVALID_ARGUMENT, "linear: " + why);
}

bool is_float(uint32_t dtype) {
  return dtype == TSR_F32 || dtype == TSR_F16 || dtype == TSR_BF16;
}

void check_rows(const char* name, uint32_t dtype, int64_t row_stride, int64_t M,
                int64_t width) {
  if (!is_float(dtype)) {
    refuse(std::string(name) + " has dtype " + std::to_string(dtype) +
           ", not f32, f16 or bf16");
  }
  if (M > 1 && row_stride < width) {
    refuse(std::string(name) + " has rows of " + std::to_string(width) +
           " elements every " + std::to_string(row_stride));
  }
}

void check_shapes(const LinearWeight& weight, const Linear& op) {
  const int64_t N = weight.shape.N;
  if (op.M < 0 || op.M > (int64_t{1} << 31)) {
    refuse("M=" + std::to_string(op.M));
  }
  if (op.n_begin < 0 || op.n_begin >= op.n_end || op.n_end > N) {
    refuse("columns " + std::to_string(op.n_begin) + " to " +
           std::to_string(op.n_end) + " of " + std::to_string(N));
  }
  const int64_t width = op.n_end - op.n_begin;
  check_rows("x", op.x.dtype, op.x.row_stride, op.M, weight.shape.K);
  if (op.y.dtype == TSR_I32) {
    if (op.M > 1 && op.y.row_stride < width) refuse("rows of y overlap");
  } else {
    check_rows("y", op.y.dtype, op.y.row_stride, op.M, width);
  }
  if (op.multiplier.data != nullptr) {
    check_rows("multiplier", op.multiplier.dtype, op.multiplier.row_stride,
               op.M, width);
  }
  if (op.residual.data != nullptr) {
    check_rows("residual", op.residual.dtype, op.residual.row_stride, op.M,
               width);
  }
}

void check_epilogue(const Linear& op) {
  if (op.activation > TSR_EPILOGUE_GELU_TANH) {
    refuse("epilogue activation " + std::to_string(op.activation) +
           " is unknown");
  }
  const bool has_epilogue = op.bias != nullptr || op.activation != 0 ||
                            op.multiplier.data != nullptr ||
                            op.residual.data != nullptr;
  if (op.accumulate && has_epilogue) refuse("accumulate with an epilogue");
  if (op.y.dtype == TSR_I32 && has_epilogue) {
    refuse("i32 accumulators with an epilogue");
  }
}

bool uses_static(uint32_t act_quant) {
  return act_quant == TSR_ACT_I8_STATIC || act_quant == TSR_ACT_U8_STATIC ||
         act_quant == TSR_ACT_I8_MIX;
}

void check_integer(const LinearWeight& weight, const Linear& op) {
  if (!has_integers(weight)) {
    refuse("weight format " + std::to_string(weight.shape.format) +
           " has no integer codes");
  }
  int32_t zero_point = 0;
  if (uses_static(op.act_quant)) {
    if (!weight.static_activation) {
      refuse("static activations without planes act_scale and act_inv");
    }
    zero_point = weight.static_activation->zero_point;
    const int32_t lo = op.act_quant == TSR_ACT_U8_STATIC ? 0 : -128;
    if (zero_point < lo || zero_point > lo + 255) {
      refuse("act_zero_point " + std::to_string(zero_point) + " is not a code");
    }
  }
  const int64_t largest =
      max_integer_depth(weight.shape, op.act_quant, zero_point);
  if (weight.shape.group_size > largest) {
    refuse("K=" + std::to_string(weight.shape.K) +
           " could overflow an i32 accumulator; at most " +
           std::to_string(largest) + " in a group");
  }
  if (op.y.dtype == TSR_I32 && !is_per_channel(weight.shape)) {
    refuse("a weight with groups of " +
           std::to_string(weight.shape.group_size) +
           " has no single accumulator");
  }
}

}  // namespace

void check_linear(const LinearWeight& weight, const Linear& op) {
  check_shapes(weight, op);
  check_epilogue(op);
  if (is_integer_act(op.act_quant)) return check_integer(weight, op);
  if (op.act_quant > TSR_ACT_Q8) {
    refuse("act_quant " + std::to_string(op.act_quant) + " is unknown");
  }
  const uint32_t format = weight.shape.format;
  if (op.act_quant == TSR_ACT_Q8 && find_gguf_block(format) == nullptr) {
    refuse("q8 activations with weight format " + std::to_string(format));
  }
  if (op.act_quant == TSR_ACT_F8_DYNAMIC && format != TSR_WEIGHT_F8E4M3 &&
      format != TSR_WEIGHT_F8E5M2) {
    refuse("f8 activations with weight format " + std::to_string(format));
  }
  if (op.y.dtype == TSR_I32) refuse("i32 accumulators of a float act_quant");
}

int64_t max_integer_depth(const WeightShape& shape, uint32_t act_quant,
                          int32_t zero_point) {
  int64_t largest_x = act_quant == TSR_ACT_I4_DYNAMIC ? 7 : 127;
  if (uses_static(act_quant)) {
    const int32_t lo = act_quant == TSR_ACT_U8_STATIC ? 0 : -128;
    const int64_t largest_static =
        std::max(lo + 255 - zero_point, zero_point - lo);
    largest_x = act_quant == TSR_ACT_I8_MIX
                    ? std::max(largest_x, largest_static)
                    : largest_static;
  }
  return std::numeric_limits<int32_t>::max() / (largest_x * max_integer(shape));
}

void apply_epilogue(const Linear& op, int64_t m, int64_t n, Finish& work) {
  const auto size = [](uint32_t dtype) -> int64_t {
    return dtype == TSR_F32 ? 4 : 2;
  };
  const auto moved = [&](ConstRows rows) {
    if (rows.data == nullptr) return rows;
    const int64_t element = m * rows.row_stride + (n - op.n_begin);
    rows.data =
        static_cast<const char*>(rows.data) + element * size(rows.dtype);
    return rows;
  };
  const int64_t element = m * op.y.row_stride + (n - op.n_begin);
  work.y = op.y;
  work.y.data = static_cast<char*>(op.y.data) + element * size(op.y.dtype);
  if (op.accumulate) {
    work.residual = {work.y.data, work.y.dtype, work.y.row_stride};
    return;
  }
  work.bias = op.bias == nullptr ? nullptr : op.bias + n;
  work.activation = op.activation;
  work.multiplier = moved(op.multiplier);
  work.residual = moved(op.residual);
}

}  // namespace tessera::cpu
