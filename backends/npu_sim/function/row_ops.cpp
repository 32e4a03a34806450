// SPDX-License-Identifier: Apache-2.0
//
// Compiled without FMA contraction.

#include "backends/npu_sim/function/row_ops.hpp"

#include <string>
#include <vector>

#include "backends/npu_sim/function/rotate.hpp"
#include "tessera/error.hpp"
#include "tessera/portable_math.h"

namespace tessera::npu {
namespace {

// Calls body(r, row, other) for each row with two rows of memory of its task.
template <typename Body>
void for_rows(int64_t num_rows, int64_t width, const Parallel& parallel,
              const Body& body) {
  const uint32_t count = num_tasks(num_rows);
  parallel.run(count, [&](uint32_t task) {
    std::vector<float> memory(static_cast<size_t>(2 * width));
    const UnitRange range = units_of(num_rows, task, count);
    for (int64_t r = range.begin; r < range.end; ++r) {
      body(r, memory.data(), memory.data() + width);
    }
  });
}

void check_indices(const char* what, const int32_t* indices, int64_t count,
                   int64_t limit) {
  for (int64_t i = 0; i < count; ++i) {
    if (indices[i] >= 0 && indices[i] < limit) continue;
    throw sdk::Error(TSR_INVALID_ARGUMENT,
                     std::string(what) + " " + std::to_string(indices[i]) +
                         " at " + std::to_string(i) +
                         " is not in the table of " + std::to_string(limit));
  }
}

std::vector<float> read_vector(const ConstRows& vector, int64_t D) {
  std::vector<float> values(static_cast<size_t>(D));
  load_row(vector, 0, 0, D, values.data());
  return values;
}

float sum_of_squares(const float* x, int64_t D) {
  float lanes[TSR_SUM_LANES] = {};
  for (int64_t k = 0; k < D; ++k) {
    const float square = x[k] * x[k];
    float& lane = lanes[k % TSR_SUM_LANES];
    lane = lane + square;
  }
  return tsr_sum_lanes_f32(lanes);
}

}  // namespace

void run(const RmsNorm& op, const Parallel& parallel) {
  const std::vector<float> weight = read_vector(op.weight, op.D);
  const auto count = static_cast<float>(op.D);
  for_rows(op.num_rows, op.D, parallel, [&](int64_t r, float* x, float*) {
    load_row(op.x, r, 0, op.D, x);
    const float mean = sum_of_squares(x, op.D) / count;
    const float factor = tsr_rsqrt_f32(mean + op.eps);
    for (int64_t i = 0; i < op.D; ++i) {
      const float scaled = x[i] * factor;
      x[i] = scaled * weight[static_cast<size_t>(i)];
    }
    store_row(op.y, r, 0, op.D, x);
  });
}

void run(const LayerNorm& op, const Parallel& parallel) {
  const std::vector<float> weight = read_vector(op.weight, op.D);
  std::vector<float> bias;
  if (op.bias.data != nullptr) bias = read_vector(op.bias, op.D);
  const auto count = static_cast<float>(op.D);
  for_rows(op.num_rows, op.D, parallel, [&](int64_t r, float* x, float*) {
    load_row(op.x, r, 0, op.D, x);
    const float mean = tsr_sum_f32(x, static_cast<size_t>(op.D)) / count;
    for (int64_t i = 0; i < op.D; ++i) x[i] = x[i] - mean;
    const float variance = sum_of_squares(x, op.D) / count;
    const float factor = tsr_rsqrt_f32(variance + op.eps);
    for (int64_t i = 0; i < op.D; ++i) {
      const float scaled = x[i] * factor;
      x[i] = scaled * weight[static_cast<size_t>(i)];
      if (!bias.empty()) x[i] = x[i] + bias[static_cast<size_t>(i)];
    }
    store_row(op.y, r, 0, op.D, x);
  });
}

void run(const Rope& op, const Parallel& parallel) {
  check_indices("rope: position", op.positions, op.num_rows, op.max_positions);
  const int64_t D = op.num_heads * op.head_dim;
  for_rows(op.num_rows, D, parallel, [&](int64_t r, float* x, float*) {
    load_row(op.x, r, 0, D, x);
    for (int64_t h = 0; h < op.num_heads; ++h) {
      rotate_head(op.style, op.rotary_dim,
                  op.table + op.positions[r] * op.rotary_dim,
                  x + h * op.head_dim);
    }
    store_row(op.y, r, 0, D, x);
  });
}

void run(const Map& op, const Parallel& parallel) {
  for_rows(op.num_rows, op.D, parallel, [&](int64_t r, float* a, float* b) {
    load_row(op.a, r, 0, op.D, a);
    if (op.b.data != nullptr) load_row(op.b, r, 0, op.D, b);
    switch (op.kind) {
      case MapKind::kAdd:
        for (int64_t i = 0; i < op.D; ++i) a[i] = a[i] + b[i];
        break;
      case MapKind::kSiluMul:
        for (int64_t i = 0; i < op.D; ++i) a[i] = tsr_silu_f32(a[i]) * b[i];
        break;
      case MapKind::kGeluErf:
        for (int64_t i = 0; i < op.D; ++i) a[i] = tsr_gelu_erf_f32(a[i]);
        break;
      case MapKind::kGeluTanh:
        for (int64_t i = 0; i < op.D; ++i) a[i] = tsr_gelu_tanh_f32(a[i]);
        break;
    }
    store_row(op.y, r, 0, op.D, a);
  });
}

void run(const Softmax& op, const Parallel& parallel) {
  for_rows(op.num_rows, op.D, parallel, [&](int64_t r, float* x, float*) {
    load_row(op.x, r, 0, op.D, x);
    float top = tsr_from_bits_f32(0xFF800000U);
    for (int64_t i = 0; i < op.D; ++i) {
      x[i] = x[i] * op.scale;
      top = x[i] > top ? x[i] : top;
    }
    for (int64_t i = 0; i < op.D; ++i) x[i] = tsr_exp_f32(x[i] - top);
    const float total = tsr_sum_f32(x, static_cast<size_t>(op.D));
    for (int64_t i = 0; i < op.D; ++i) x[i] = x[i] / total;
    store_row(op.y, r, 0, op.D, x);
  });
}

void run(const Gather& op, const Parallel& parallel) {
  check_indices("gather: id", op.ids, op.num_rows, op.V);
  for_rows(op.num_rows, op.D, parallel, [&](int64_t r, float* x, float*) {
    load_row(op.table, op.ids[r], 0, op.D, x);
    store_row(op.y, r, 0, op.D, x);
  });
}

}  // namespace tessera::npu
