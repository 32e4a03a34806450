// SPDX-License-Identifier: Apache-2.0
//
// In f32 with the functions and sums of tessera/portable_math.h; one rounding
// to the result's type.

#include "backends/npu_sim/execution/row_unit.hpp"

#include <string>

#include "backends/npu_sim/execution/unified_buffer.hpp"
#include "backends/npu_sim/function/rotate.hpp"
#include "tessera/portable_math.h"

namespace tessera::npu {
namespace {

class RowUnit {
 public:
  RowUnit(const Instruction& one, std::vector<uint8_t>& ub, const Memory& gm)
      : one_(one), ub_(ub), gm_(gm) {}

  void silu_mul();
  void gelu();
  // Each row through `body`, which changes it.
  template <typename Body>
  void each_row(const Body& body);
  void rms_norm(std::vector<float>& row) const;
  void layer_norm(std::vector<float>& row) const;
  void softmax(std::vector<float>& row) const;
  void rotate();

 private:
  size_t count() const { return size_t{one_.m} * one_.n; }
  float read(uint64_t base, size_t index) {
    return ub_.read_float(one_.type, base, index);
  }
  void write(size_t index, float value) {
    ub_.write_float(one_.out_type, one_.dst, index, value);
  }
  void check_weights(size_t columns) const;
  static float sum_of_squares(const std::vector<float>& row);

  const Instruction& one_;
  UnifiedBuffer ub_;
  const Memory& gm_;
};

void RowUnit::silu_mul() {
  for (size_t i = 0; i < count(); ++i) {
    write(i, tsr_silu_f32(read(one_.src, i)) * read(one_.src2, i));
  }
}

void RowUnit::gelu() {
  const bool is_tanh = gm_.activation == TSR_EPILOGUE_GELU_TANH;
  for (size_t i = 0; i < count(); ++i) {
    const float x = read(one_.src, i);
    write(i, is_tanh ? tsr_gelu_tanh_f32(x) : tsr_gelu_erf_f32(x));
  }
}

template <typename Body>
void RowUnit::each_row(const Body& body) {
  const size_t columns = one_.k;
  std::vector<float> row(columns);
  for (size_t first = 0; first < count(); first += columns) {
    for (size_t i = 0; i < columns; ++i) row[i] = read(one_.src, first + i);
    body(row);
    for (size_t i = 0; i < columns; ++i) write(first + i, row[i]);
  }
}

void RowUnit::check_weights(size_t columns) const {
  const RowFacts& facts = gm_.rows;
  if (facts.weight.size() != columns ||
      (!facts.bias.empty() && facts.bias.size() != columns)) {
    throw sdk::Error(TSR_INVALID_ARGUMENT,
                     "memory: " + std::to_string(facts.weight.size()) +
                         " weights of a norm over " + std::to_string(columns));
  }
}

float RowUnit::sum_of_squares(const std::vector<float>& row) {
  std::vector<float> squares;
  squares.reserve(row.size());
  for (const float x : row) squares.push_back(x * x);
  return tsr_sum_f32(squares.data(), squares.size());
}

void RowUnit::rms_norm(std::vector<float>& row) const {
  check_weights(row.size());
  const float mean = sum_of_squares(row) / static_cast<float>(row.size());
  const float factor = tsr_rsqrt_f32(mean + gm_.rows.eps);
  for (size_t i = 0; i < row.size(); ++i) {
    const float scaled = row[i] * factor;
    row[i] = scaled * gm_.rows.weight[i];
  }
}

void RowUnit::layer_norm(std::vector<float>& row) const {
  check_weights(row.size());
  const auto columns = static_cast<float>(row.size());
  const float mean = tsr_sum_f32(row.data(), row.size()) / columns;
  for (float& x : row) x = x - mean;
  const float variance = sum_of_squares(row) / columns;
  const float factor = tsr_rsqrt_f32(variance + gm_.rows.eps);
  for (size_t i = 0; i < row.size(); ++i) {
    const float scaled = row[i] * factor;
    row[i] = scaled * gm_.rows.weight[i];
    if (!gm_.rows.bias.empty()) row[i] = row[i] + gm_.rows.bias[i];
  }
}

void RowUnit::softmax(std::vector<float>& row) const {
  for (float& x : row) x = x * gm_.rows.scale;
  float top = row[0];
  for (const float x : row) top = x > top ? x : top;
  for (float& x : row) x = tsr_exp_f32(x - top);
  const float total = tsr_sum_f32(row.data(), row.size());
  for (float& x : row) x = x / total;
}

void RowUnit::rotate() {
  const RowFacts& facts = gm_.rows;
  const auto head_dim = static_cast<size_t>(facts.head_dim);
  if (facts.head_dim <= 0 || facts.num_heads <= 0 || one_.k % head_dim != 0 ||
      facts.rotary_dim > facts.head_dim) {
    throw sdk::Error(TSR_INVALID_ARGUMENT,
                     "memory: heads of " + std::to_string(facts.head_dim) +
                         " do not fill rows of " + std::to_string(one_.k));
  }
  auto head = static_cast<size_t>(one_.src2) / head_dim;
  each_row([&](std::vector<float>& row) {
    for (size_t at = 0; at < row.size(); at += head_dim, ++head) {
      rotate_by_position(facts, head / static_cast<size_t>(facts.num_heads),
                         row.data() + at);
    }
  });
}

}  // namespace

void rotate_by_position(const RowFacts& facts, size_t token, float* head) {
  const auto rotary_dim = static_cast<size_t>(facts.rotary_dim);
  const size_t first =
      token < facts.positions.size()
          ? static_cast<size_t>(facts.positions[token]) * rotary_dim
          : facts.table.size();
  if (first + rotary_dim > facts.table.size()) {
    throw sdk::Error(TSR_INVALID_ARGUMENT,
                     "memory: no position of token " + std::to_string(token));
  }
  rotate_head(facts.style, facts.rotary_dim, facts.table.data() + first, head);
}

void run_row_vector(const Instruction& one, std::vector<uint8_t>& ub,
                    const Memory& gm) {
  RowUnit unit(one, ub, gm);
  switch (one.function) {
    case VectorFunction::kSiluMul:
      return unit.silu_mul();
    case VectorFunction::kGelu:
      return unit.gelu();
    case VectorFunction::kRotate:
      return unit.rotate();
    case VectorFunction::kRmsNorm:
      return unit.each_row([&](auto& row) { unit.rms_norm(row); });
    case VectorFunction::kLayerNorm:
      return unit.each_row([&](auto& row) { unit.layer_norm(row); });
    default:
      return unit.each_row([&](auto& row) { unit.softmax(row); });
  }
}

}  // namespace tessera::npu
