// SPDX-License-Identifier: Apache-2.0

#include "backends/npu_sim/execution/append_unit.hpp"

#include <algorithm>
#include <string>

#include "backends/npu_sim/execution/row_unit.hpp"
#include "backends/npu_sim/execution/unified_buffer.hpp"
#include "backends/npu_sim/function/activation.hpp"

namespace tessera::npu {
namespace {

class AppendUnit {
 public:
  AppendUnit(const Instruction& one, std::vector<uint8_t>& ub, const Memory& gm)
      : one_(one), ub_(ub), gm_(gm) {}

  void run();

 private:
  bool is_key() const { return one_.inputs == 0; }
  // Codes of row `row` of the instruction, of KV head `head`.
  std::vector<int16_t> codes_of(const std::vector<float>& values, size_t row,
                                size_t head);
  float inverse_scale(size_t head, size_t dim) const;
  template <typename Store>
  void store(size_t row, const Store& element);

  const Instruction& one_;
  UnifiedBuffer ub_;
  const Memory& gm_;
};

float AppendUnit::inverse_scale(size_t head, size_t dim) const {
  const CacheFacts& cache = gm_.cache;
  const auto heads = static_cast<size_t>(gm_.rows.num_heads);
  const size_t number = is_key() ? head : heads + head;
  const size_t place = cache.by_channel ? number * one_.k + dim : number;
  if (place >= cache.inverse.size()) {
    throw sdk::Error(
        TSR_INVALID_ARGUMENT,
        "memory: no scale " + std::to_string(place) + " of the cache");
  }
  return cache.inverse[place];
}

std::vector<int16_t> AppendUnit::codes_of(const std::vector<float>& values,
                                          size_t row, size_t head) {
  std::vector<int16_t> codes(values.size());
  if (gm_.cache.finds_scales) {
    const float scale = quantize_dynamic(
        values.data(), static_cast<int64_t>(values.size()), 127, codes.data());
    ub_.write(one_.scales + row * kBeatBytes, scale);
    return codes;
  }
  for (size_t i = 0; i < values.size(); ++i) {
    const float product = values[i] * inverse_scale(head, i);
    codes[i] = static_cast<int16_t>(round_to_code(product, 0, -127, 127));
  }
  return codes;
}

// element(i, place in UB) for each dim; what fills the last column is 0.
template <typename Store>
void AppendUnit::store(size_t row, const Store& element) {
  const auto bytes = static_cast<size_t>(bits_of(one_.out_type) / 8);
  const size_t dims = one_.row_bytes / bytes;
  const size_t columns = (one_.k + dims - 1) / dims;
  const uint64_t first = one_.dst + row * columns * kBeatBytes;
  std::fill_n(ub_.at(first, columns * kBeatBytes), columns * kBeatBytes,
              uint8_t{0});
  for (size_t i = 0; i < one_.k; ++i) {
    element(i, first + i / dims * kBeatBytes + i % dims * bytes);
  }
}

void AppendUnit::run() {
  const auto heads = static_cast<size_t>(gm_.rows.num_heads);
  std::vector<float> values(one_.k);
  for (size_t row = 0; row < size_t{one_.m} * one_.n / one_.k; ++row) {
    const size_t number = static_cast<size_t>(one_.src2) + row;
    for (size_t i = 0; i < values.size(); ++i) {
      values[i] = ub_.read_float(one_.type, one_.src, row * one_.k + i);
    }
    if (is_key() && gm_.rows.style != TSR_ROPE_NONE) {
      rotate_by_position(gm_.rows, number / heads, values.data());
    }
    if (one_.out_type != Type::kS8) {
      store(row, [&](size_t i, uint64_t place) {
        ub_.write_float(one_.out_type, place, 0, values[i]);
      });
      continue;
    }
    const std::vector<int16_t> codes = codes_of(values, row, number % heads);
    store(row, [&](size_t i, uint64_t place) {
      ub_.write(place, static_cast<int8_t>(codes[i]));
    });
  }
}

}  // namespace

void run_append_vector(const Instruction& one, std::vector<uint8_t>& ub,
                       const Memory& gm) {
  if (gm.rows.num_heads <= 0) {
    throw sdk::Error(TSR_INVALID_ARGUMENT, "memory: no number of KV heads");
  }
  AppendUnit(one, ub, gm).run();
}

}  // namespace tessera::npu
