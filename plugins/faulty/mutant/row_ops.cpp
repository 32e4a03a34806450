// SPDX-License-Identifier: Apache-2.0

#include <algorithm>
#include <cmath>
#include <vector>

#include "kernels.hpp"
#include "tessera/error.hpp"
#include "tessera/portable_math.h"

namespace mutant {
namespace {

void rms_norm(const RowWork& work, uint64_t r) {
  float sum = 0;
  for (uint32_t i = 0; i < work.N; ++i) {
    const float x = work.a.at(r, i);
    sum += x * x;
  }
  const float count = has("rms_sums") ? 1.0f : static_cast<float>(work.N);
  const float eps = has("epsilon_ignored") ? 0.0f : work.parameter;
  const float factor = 1.0f / std::sqrt(sum / count + eps);
  for (uint32_t i = 0; i < work.N; ++i) {
    const float weight = work.b.at(0, i);
    work.y.set(r, i, work.a.at(r, i) * factor * weight);
  }
}

void softmax(const RowWork& work, uint64_t r) {
  const float scale = has("softmax_scale_missing") ? 1.0f : work.parameter;
  std::vector<float> x(work.N);
  for (uint32_t i = 0; i < work.N; ++i) x[i] = scale * work.a.at(r, i);
  float largest = has("softmax_max_of_zero") ? 0.0f : x[0];
  for (const float v : x) largest = std::max(largest, v);
  float sum = 0;
  bool is_number = true;
  for (float& v : x) {
    is_number = is_number && !std::isnan(v);
    v = tsr_exp_f32(v - largest);
    sum += v;
  }
  if (!is_number) sum = NAN;
  for (uint32_t i = 0; i < work.N; ++i) work.y.set(r, i, x[i] / sum);
}

void rope(const RowWork& work, uint64_t r) {
  // In the tensor each token's heads follow one another.
  const uint64_t token = r / work.heads;
  int32_t position = work.ids[token];
  if (has("rope_position_off")) ++position;
  if (has("rope_position_in_8_bits")) position &= 0xff;
  std::vector<float> head(work.N);
  for (uint32_t i = 0; i < work.N; ++i) head[i] = work.a.at(r, i);
  rotate(head.data(), work.table + int64_t{position} * work.rotary_dim,
         work.rotary_dim, work.style);
  for (uint32_t i = 0; i < work.N; ++i) work.y.set(r, i, head[i]);
}

void gather(const RowWork& work, uint64_t r) {
  int32_t id = work.ids[r];
  if (id < 0 || static_cast<uint32_t>(id) >= work.table_rows) {
    throw tessera::sdk::Error(TSR_INVALID_ARGUMENT, "an id outside the table");
  }
  if (has("gathers_its_own_row")) id = static_cast<int32_t>(r);
  if (has("table_rows_in_8_bits")) id &= 0xff;
  if (has("table_rows_in_16_bits")) id &= 0xffff;
  if (has("last_row_of_table_lost")) {
    id = std::min(id, static_cast<int32_t>(work.table_rows) - 2);
  }
  for (uint32_t i = 0; i < work.N; ++i) {
    work.y.set(r, i, work.a.at(static_cast<uint64_t>(id), i));
  }
}

void elementwise(const RowWork& work, uint64_t r) {
  const bool swaps = has("silu_of_the_wrong_side");
  for (uint32_t i = 0; i < work.N; ++i) {
    const float a = work.a.at(r, i);
    const float b = work.b.at(r, i);
    float y = work.kind == TSR_OP_ADD ? a + b
              : swaps                 ? tsr_silu_f32(b) * a
                                      : tsr_silu_f32(a) * b;
    if (has("nan_swallowed") && std::isnan(y)) y = 0;
    if (has("infinity_clamped") && std::isinf(y)) y = std::copysign(3e38f, y);
    if (has("flushes_small_values") && std::fabs(y) < 1e-2f) y = 0;
    work.y.set(r, i, y);
  }
}

}  // namespace

void row_op(const RowWork& work) {
  for (uint64_t r = 0; r < work.rows; ++r) {
    switch (work.kind) {
      case TSR_OP_RMS_NORM:
        rms_norm(work, r);
        break;
      case TSR_OP_SOFTMAX:
        softmax(work, r);
        break;
      case TSR_OP_ROPE:
        rope(work, r);
        break;
      case TSR_OP_EMBEDDING:
      case TSR_OP_GATHER_ROWS:
        gather(work, r);
        break;
      default:
        elementwise(work, r);
    }
  }
}

}  // namespace mutant
