// SPDX-License-Identifier: Apache-2.0
//
// Compiled without FMA contraction.

#include "backends/npu_sim/function/linear/epilogue.hpp"

#include <string>

#include "backends/npu_sim/function/inner_loops.hpp"
#include "tessera/error.hpp"
#include "tessera/portable_math.h"

namespace tessera::npu {
namespace {

void activate(uint32_t activation, int64_t count, float* values) {
  switch (activation) {
    case TSR_EPILOGUE_SILU:
      for (int64_t j = 0; j < count; ++j) values[j] = tsr_silu_f32(values[j]);
      break;
    case TSR_EPILOGUE_GELU_ERF:
      for (int64_t j = 0; j < count; ++j) {
        values[j] = tsr_gelu_erf_f32(values[j]);
      }
      break;
    case TSR_EPILOGUE_GELU_TANH:
      for (int64_t j = 0; j < count; ++j) {
        values[j] = tsr_gelu_tanh_f32(values[j]);
      }
      break;
    default:
      break;
  }
}

}  // namespace

void finish_columns(const Linear& op, int64_t m, int64_t n, int64_t count,
                    float* values) {
  float other[kTileColumns];
  const int64_t column = n - op.n_begin;
  if (op.accumulate) {
    load_row({op.y.data, op.y.dtype, op.y.stride}, m, column, count, other);
    for (int64_t j = 0; j < count; ++j) values[j] += other[j];
  }
  if (op.bias != nullptr) {
    for (int64_t j = 0; j < count; ++j) values[j] += op.bias[n + j];
  }
  activate(op.activation, count, values);
  if (op.multiplier.data != nullptr) {
    load_row(op.multiplier, m, column, count, other);
    for (int64_t j = 0; j < count; ++j) values[j] *= other[j];
  }
  if (op.residual.data != nullptr) {
    load_row(op.residual, m, column, count, other);
    for (int64_t j = 0; j < count; ++j) values[j] += other[j];
  }
  store_row(op.y, m, column, count, values);
}

void store_accumulators(const Linear& op, int64_t m, int64_t n, int64_t count,
                        const int32_t* values) {
  int32_t* y =
      static_cast<int32_t*>(op.y.data) + m * op.y.stride + n - op.n_begin;
  for (int64_t j = 0; j < count; ++j) {
    y[j] = op.accumulate ? y[j] + values[j] : values[j];
  }
}

void check_linear(const Linear& op, int64_t N) {
  if (op.n_begin < 0 || op.n_begin >= op.n_end || op.n_end > N) {
    throw sdk::Error(TSR_INVALID_ARGUMENT,
                     "linear: columns " + std::to_string(op.n_begin) + " to " +
                         std::to_string(op.n_end) + " of " + std::to_string(N));
  }
  if (op.activation > TSR_EPILOGUE_GELU_TANH) {
    throw sdk::Error(TSR_INVALID_ARGUMENT, "linear: epilogue activation " +
                                               std::to_string(op.activation) +
                                               " is unknown");
  }
}

}  // namespace tessera::npu
