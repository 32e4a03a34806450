// SPDX-License-Identifier: Apache-2.0
//
// The arithmetic of row_unit.cpp, whose sums go on from part to part.

#include "backends/npu_sim/execution/row_parts.hpp"

#include <array>
#include <string>

#include "backends/npu_sim/execution/unified_buffer.hpp"
#include "backends/npu_sim/machine/row_state.hpp"
#include "tessera/portable_math.h"

namespace tessera::npu {
namespace {

class RowPart {
 public:
  RowPart(const Instruction& one, std::vector<uint8_t>& ub, const Memory& gm)
      : one_(one), ub_(ub), gm_(gm) {}

  void find_maximum();
  // Adds term(element) to the sums at `place` of the row's state.
  template <typename Term>
  void add(int64_t place, const Term& term);
  void add_exponentials();
  void add_deviations();
  void rms_norm();
  void layer_norm();
  void softmax();

 private:
  using Sums = std::array<float, TSR_SUM_LANES>;

  size_t count() const { return size_t{one_.m} * one_.n; }
  float columns() const { return static_cast<float>(one_.k); }
  uint64_t state(int64_t place, size_t number = 0) const {
    return one_.scales + static_cast<uint64_t>(place) + 4 * number;
  }
  float read(size_t index) {
    return ub_.read_float(one_.type, one_.src, index);
  }
  void write(size_t index, float value) {
    ub_.write_float(one_.out_type, one_.dst, index, value);
  }
  float total(int64_t place);
  // Of the norm's weights or biases, that of element `index`.
  float of_column(const std::vector<float>& values, size_t index) const;

  const Instruction& one_;
  UnifiedBuffer ub_;
  const Memory& gm_;
};

void RowPart::find_maximum() {
  float top = one_.accumulate ? ub_.read<float>(state(kRowMaximumAt))
                              : read(0) * gm_.rows.scale;
  for (size_t i = 0; i < count(); ++i) {
    const float x = read(i) * gm_.rows.scale;
    top = x > top ? x : top;
  }
  ub_.write(state(kRowMaximumAt), top);
}

template <typename Term>
void RowPart::add(int64_t place, const Term& term) {
  Sums sums{};
  if (one_.accumulate) {
    for (size_t i = 0; i < sums.size(); ++i) {
      sums[i] = ub_.read<float>(state(place, i));
    }
  }
  for (size_t i = 0; i < count(); ++i) {
    float& sum = sums[(one_.src2 + i) % sums.size()];
    sum = sum + term(read(i));
  }
  for (size_t i = 0; i < sums.size(); ++i) {
    ub_.write(state(place, i), sums[i]);
  }
}

float RowPart::total(int64_t place) {
  Sums sums{};
  for (size_t i = 0; i < sums.size(); ++i) {
    sums[i] = ub_.read<float>(state(place, i));
  }
  return tsr_sum_lanes_f32(sums.data());
}

void RowPart::add_exponentials() {
  const float top = ub_.read<float>(state(kRowMaximumAt));
  add(kFirstSumsAt,
      [&](float x) { return tsr_exp_f32(x * gm_.rows.scale - top); });
}

void RowPart::add_deviations() {
  const float mean = total(kFirstSumsAt) / columns();
  add(kSecondSumsAt, [&](float x) {
    const float off = x - mean;
    return off * off;
  });
}

float RowPart::of_column(const std::vector<float>& values, size_t index) const {
  if (values.size() != one_.k) {
    throw sdk::Error(TSR_INVALID_ARGUMENT,
                     "memory: " + std::to_string(values.size()) +
                         " weights of a norm over " + std::to_string(one_.k));
  }
  return values[static_cast<size_t>(one_.src2) + index];
}

void RowPart::rms_norm() {
  const float mean = total(kSecondSumsAt) / columns();
  const float factor = tsr_rsqrt_f32(mean + gm_.rows.eps);
  for (size_t i = 0; i < count(); ++i) {
    const float scaled = read(i) * factor;
    write(i, scaled * of_column(gm_.rows.weight, i));
  }
}

void RowPart::layer_norm() {
  const float mean = total(kFirstSumsAt) / columns();
  const float variance = total(kSecondSumsAt) / columns();
  const float factor = tsr_rsqrt_f32(variance + gm_.rows.eps);
  for (size_t i = 0; i < count(); ++i) {
    const float off = read(i) - mean;
    const float scaled = off * factor;
    const float weighted = scaled * of_column(gm_.rows.weight, i);
    write(i, gm_.rows.bias.empty() ? weighted
                                   : weighted + of_column(gm_.rows.bias, i));
  }
}

void RowPart::softmax() {
  const float top = ub_.read<float>(state(kRowMaximumAt));
  const float sum = total(kFirstSumsAt);
  for (size_t i = 0; i < count(); ++i) {
    write(i, tsr_exp_f32(read(i) * gm_.rows.scale - top) / sum);
  }
}

}  // namespace

void run_row_part(const Instruction& one, std::vector<uint8_t>& ub,
                  const Memory& gm) {
  RowPart part(one, ub, gm);
  switch (one.function) {
    case VectorFunction::kRowMaximum:
      return part.find_maximum();
    case VectorFunction::kRowExponentials:
      return part.add_exponentials();
    case VectorFunction::kRowValues:
      return part.add(kFirstSumsAt, [](float x) { return x; });
    case VectorFunction::kRowSquares:
      return part.add(kSecondSumsAt, [](float x) { return x * x; });
    case VectorFunction::kRowDeviations:
      return part.add_deviations();
    case VectorFunction::kRmsNormPart:
      return part.rms_norm();
    case VectorFunction::kLayerNormPart:
      return part.layer_norm();
    default:
      return part.softmax();
  }
}

}  // namespace tessera::npu
