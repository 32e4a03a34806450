// SPDX-License-Identifier: Apache-2.0
//
// Scores, codes and sums are integers; floats come in at either end.

#include "backends/npu_sim/execution/integer_attention_unit.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>

#include "backends/npu_sim/execution/seen_keys.hpp"
#include "backends/npu_sim/execution/unified_buffer.hpp"
#include "backends/npu_sim/function/activation.hpp"
#include "backends/npu_sim/function/half.hpp"

namespace tessera::npu {
namespace {

constexpr size_t kNumThresholds = 127;

class IntegerUnit {
 public:
  IntegerUnit(const Instruction& one, std::vector<uint8_t>& ub,
              const Memory& gm)
      : one_(one), ub_(ub), facts_(gm.attention) {}

  void quantize_heads();
  void row_maxima();
  void join_maxima();
  void weight_codes();
  void add_sums();
  void merge();
  void divide();

 private:
  float half_at(uint64_t offset) {
    const auto bits = ub_.read<uint16_t>(offset);
    return one_.type == Type::kBf16 ? f32_from_bf16(bits) : f32_from_f16(bits);
  }
  uint64_t score_row(size_t row) const {
    return one_.src + row * round_to(size_t{4} * one_.n, kBeatBytes);
  }
  // Of a table with `each` values for every head.
  template <typename Value>
  const Value* head_values(const std::vector<Value>& values, size_t head,
                           size_t each, const char* what) const;

  const Instruction& one_;
  UnifiedBuffer ub_;
  const AttentionFacts& facts_;
};

template <typename Value>
const Value* IntegerUnit::head_values(const std::vector<Value>& values,
                                      size_t head, size_t each,
                                      const char* what) const {
  if ((head + 1) * each > values.size()) {
    throw sdk::Error(
        TSR_INVALID_ARGUMENT,
        std::string("memory: no ") + what + " of head " + std::to_string(head));
  }
  return values.data() + head * each;
}

void IntegerUnit::quantize_heads() {
  const size_t dim = one_.k;
  const size_t rows = size_t{one_.m} * one_.n / dim;
  const size_t heads = std::max<size_t>(1, facts_.q_inverse.size());
  std::vector<float> values(dim);
  for (size_t row = 0; row < rows; ++row) {
    const size_t head = (static_cast<size_t>(one_.src2) / dim + row) % heads;
    const float inverse = *head_values(facts_.q_inverse, head, 1, "scale");
    bool is_finite = true;
    for (size_t i = 0; i < dim; ++i) {
      values[i] = half_at(one_.src + 2 * (row * dim + i));
      is_finite = is_finite && std::isfinite(values[i]);
    }
    for (size_t i = 0; i < dim; ++i) {
      const float product = values[i] * inverse;
      ub_.write(one_.dst + row * dim + i,
                static_cast<int8_t>(round_to_code(product, 0, -127, 127)));
    }
    const float mark =
        is_finite ? 1.0f : std::numeric_limits<float>::quiet_NaN();
    for (size_t i = 0; i < kBeatBytes / 4; ++i) {
      ub_.write(one_.scales + row * kBeatBytes + 4 * i, mark);
    }
  }
}

void IntegerUnit::row_maxima() {
  for (size_t row = 0; row < one_.m; ++row) {
    const uint64_t max_at = one_.src2 + 4 * row;
    int32_t top = one_.accumulate ? ub_.read<int32_t>(max_at)
                                  : std::numeric_limits<int32_t>::min();
    const SeenKeys seen = seen_keys(one_, facts_, row);
    for (int64_t key = seen.begin; key < seen.end; ++key) {
      top = std::max(top, ub_.read<int32_t>(score_row(row) +
                                            4 * static_cast<uint64_t>(key)));
    }
    ub_.write(max_at, top);
  }
}

void IntegerUnit::join_maxima() {
  for (size_t i = 0; i < one_.n; ++i) {
    int32_t top = ub_.read<int32_t>(one_.src + 4 * i);
    for (size_t row = 1; row < one_.m; ++row) {
      top = std::max(top,
                     ub_.read<int32_t>(one_.src + row * one_.inputs + 4 * i));
    }
    ub_.write(one_.dst + 4 * i, top);
  }
}

// Thresholds fall as codes rise.
void IntegerUnit::weight_codes() {
  const size_t pitch = round_to(one_.n, kBeatBytes);
  for (size_t row = 0; row < one_.m; ++row) {
    const size_t in_group =
        (one_.row_bytes + row) % static_cast<size_t>(facts_.group);
    const int32_t* thresholds =
        head_values(facts_.thresholds, one_.inputs + in_group, kNumThresholds,
                    "thresholds");
    const int32_t top = ub_.read<int32_t>(one_.src2 + 4 * row);
    const uint64_t sum_at = one_.src2 + one_.k + 4 * row;
    int32_t sum = one_.accumulate ? ub_.read<int32_t>(sum_at) : 0;
    const SeenKeys seen = seen_keys(one_, facts_, row);
    std::vector<int8_t> codes(one_.n, 0);
    for (int64_t key = seen.begin; key < seen.end; ++key) {
      const int32_t below =
          top -
          ub_.read<int32_t>(score_row(row) + 4 * static_cast<uint64_t>(key));
      const auto code = static_cast<int8_t>(
          std::count_if(thresholds, thresholds + kNumThresholds,
                        [&](int32_t most) { return below <= most; }));
      codes[static_cast<size_t>(key)] = code;
      sum += code;
    }
    for (size_t key = 0; key < one_.n; ++key) {
      ub_.write(one_.dst + row * pitch + key, codes[key]);
    }
    ub_.write(sum_at, sum);
  }
}

void IntegerUnit::add_sums() {
  for (size_t row = 0; row < one_.m; ++row) {
    for (size_t j = 0; j < one_.n; ++j) {
      const uint64_t place = one_.dst + row * one_.inputs + 4 * j;
      const auto more = ub_.read<int32_t>(score_row(row) + 4 * j);
      ub_.write(place, (one_.accumulate ? ub_.read<int32_t>(place) : 0) + more);
    }
  }
}

void IntegerUnit::merge() {
  for (size_t row = 0; row < one_.m; ++row) {
    for (size_t j = 0; j < one_.n; ++j) {
      const size_t offset = row * one_.inputs + 4 * j;
      ub_.write(one_.dst + offset, ub_.read<int32_t>(one_.dst + offset) +
                                       ub_.read<int32_t>(one_.src + offset));
    }
    const uint64_t sum_at = one_.src2 + one_.k + 4 * row;
    const uint64_t other_at = one_.scales + one_.k + 4 * row;
    ub_.write(sum_at, ub_.read<int32_t>(sum_at) + ub_.read<int32_t>(other_at));
  }
}

void IntegerUnit::divide() {
  const size_t pitch = round_to(size_t{2} * one_.n, kBeatBytes);
  const float of_values =
      *head_values(facts_.value_scales, one_.k, 1, "scale of v");
  const Half type = one_.out_type == Type::kBf16 ? Half::kBf16 : Half::kF16;
  for (size_t row = 0; row < one_.m; ++row) {
    const auto sum = ub_.read<int32_t>(one_.scales + 4 * row);
    const auto mark = ub_.read<float>(one_.src2 + row * kBeatBytes);
    const float of_row = of_values / static_cast<float>(sum);
    const float scale = of_row * mark;
    for (size_t j = 0; j < one_.n; ++j) {
      const auto value = static_cast<float>(
          ub_.read<int32_t>(one_.src + row * one_.inputs + 4 * j));
      ub_.write(one_.dst + row * pitch + 2 * j,
                half_from_f32(type, value * scale));
    }
  }
}

}  // namespace

void run_integer_attention_vector(const Instruction& one,
                                  std::vector<uint8_t>& ub, const Memory& gm) {
  IntegerUnit unit(one, ub, gm);
  switch (one.function) {
    case VectorFunction::kQuantizeHeads:
      return unit.quantize_heads();
    case VectorFunction::kRowMaxima:
      return unit.row_maxima();
    case VectorFunction::kJoinMaxima:
      return unit.join_maxima();
    case VectorFunction::kWeightCodes:
      return unit.weight_codes();
    case VectorFunction::kRescale:
      return unit.add_sums();
    case VectorFunction::kMerge:
      return unit.merge();
    default:
      return unit.divide();
  }
}

}  // namespace tessera::npu
