// SPDX-License-Identifier: Apache-2.0
//
// As function/attention/attention.hpp defines a tile of keys.

#include "backends/npu_sim/execution/attention_unit.hpp"

#include <algorithm>
#include <limits>

#include "backends/npu_sim/execution/seen_keys.hpp"
#include "backends/npu_sim/execution/unified_buffer.hpp"
#include "backends/npu_sim/function/half.hpp"
#include "tessera/portable_math.h"

namespace tessera::npu {
namespace {

constexpr size_t kColumnDims = 16;
constexpr float kNothing = -std::numeric_limits<float>::infinity();

class AttentionUnit {
 public:
  AttentionUnit(const Instruction& one, std::vector<uint8_t>& ub,
                const Memory& gm)
      : one_(one), ub_(ub), facts_(gm.attention) {}

  void widen_cache();
  void softmax();
  void rescale();
  void merge();
  void divide();

 private:
  float read(uint64_t offset) { return ub_.read<float>(offset); }
  void write(uint64_t offset, float value) { ub_.write(offset, value); }
  void write_half(uint64_t offset, float value);
  void softmax_row(size_t row);

  const Instruction& one_;
  UnifiedBuffer ub_;
  const AttentionFacts& facts_;
};

void AttentionUnit::write_half(uint64_t offset, float value) {
  const Half type = one_.out_type == Type::kBf16 ? Half::kBf16 : Half::kF16;
  ub_.write(offset, half_from_f32(type, value));
}

void AttentionUnit::widen_cache() {
  for (size_t column = 0; column < one_.m; ++column) {
    for (size_t i = 0; i < one_.n; ++i) {
      const size_t at = column * one_.n + i;
      const size_t scale = one_.k == 0 ? i / kColumnDims
                                       : column * kColumnDims + i % kColumnDims;
      const auto code = static_cast<float>(ub_.read<int8_t>(one_.src + at));
      const float value = code * read(one_.scales + 4 * scale);
      write_half(one_.dst + 2 * at, value);
    }
  }
}

void AttentionUnit::softmax_row(size_t row) {
  const uint64_t max_at = one_.src2 + 4 * row;
  const uint64_t sum_at = max_at + one_.k;
  const uint64_t source =
      one_.src + row * round_to(size_t{4} * one_.n, kBeatBytes);
  const uint64_t target =
      one_.dst + row * round_to(size_t{2} * one_.n, kBeatBytes);
  const auto [begin, end] = seen_keys(one_, facts_, row);
  const float before = one_.accumulate ? read(max_at) : kNothing;
  const float sum = one_.accumulate ? read(sum_at) : 0.0f;
  float top = before;
  std::vector<float> scores(one_.n, 0.0f);
  for (int64_t j = begin; j < end; ++j) {
    const auto key = static_cast<size_t>(j);
    scores[key] = read(source + 4 * key) * facts_.scale;
    top = scores[key] > top ? scores[key] : top;
  }
  const bool sees_any = begin < end;
  const float factor = sees_any ? tsr_exp_f32(before - top) : 1.0f;
  float lanes[TSR_SUM_LANES] = {};
  for (size_t key = 0; key < one_.n; ++key) {
    const auto j = static_cast<int64_t>(key);
    float weight = 0;
    if (j >= begin && j < end) {
      weight = tsr_exp_f32(scores[key] - top);
      float& lane = lanes[key % TSR_SUM_LANES];
      lane = lane + weight;
    }
    write_half(target + 2 * key, weight);
  }
  const float kept = sum * factor;
  write(max_at, top);
  write(sum_at, sees_any ? kept + tsr_sum_lanes_f32(lanes) : sum);
  write(one_.scales + 4 * row, factor);
}

void AttentionUnit::softmax() {
  for (size_t row = 0; row < one_.m; ++row) softmax_row(row);
}

void AttentionUnit::rescale() {
  for (size_t row = 0; row < one_.m; ++row) {
    const float factor = read(one_.scales + 4 * row);
    for (size_t j = 0; j < one_.n; ++j) {
      const uint64_t place = one_.dst + row * one_.inputs + 4 * j;
      const float more = read(
          one_.src + row * round_to(size_t{4} * one_.n, kBeatBytes) + 4 * j);
      const float before = one_.accumulate ? read(place) : 0.0f;
      const float rescaled = before * factor;
      write(place, rescaled + more);
    }
  }
}

void AttentionUnit::merge() {
  for (size_t row = 0; row < one_.m; ++row) {
    const uint64_t max_at = one_.src2 + 4 * row;
    const uint64_t other_at = one_.scales + 4 * row;
    const float own = read(max_at);
    const float other = read(other_at);
    if (other == kNothing) continue;
    const float top = own > other ? own : other;
    const float keep = tsr_exp_f32(own - top);
    const float take = tsr_exp_f32(other - top);
    for (size_t j = 0; j < one_.n; ++j) {
      const size_t offset = row * one_.inputs + 4 * j;
      const float kept = read(one_.dst + offset) * keep;
      const float taken = read(one_.src + offset) * take;
      write(one_.dst + offset, kept + taken);
    }
    const float kept = read(max_at + one_.k) * keep;
    const float taken = read(other_at + one_.k) * take;
    write(max_at + one_.k, kept + taken);
    write(max_at, top);
  }
}

void AttentionUnit::divide() {
  const size_t pitch = round_to(size_t{2} * one_.n, kBeatBytes);
  for (size_t row = 0; row < one_.m; ++row) {
    const float sum = read(one_.scales + 4 * row);
    for (size_t j = 0; j < one_.n; ++j) {
      const float value = read(one_.src + row * one_.inputs + 4 * j);
      write_half(one_.dst + row * pitch + 2 * j, value / sum);
    }
  }
}

}  // namespace

SeenKeys seen_keys(const Instruction& one, const AttentionFacts& facts,
                   size_t row) {
  const int64_t token =
      (one.row_bytes + static_cast<int64_t>(row)) / facts.group;
  const int64_t last = static_cast<int64_t>(one.row_stride) + token;
  SeenKeys seen{0, one.n};
  if (!facts.causal) return seen;
  seen.end = std::clamp<int64_t>(last + 1, 0, seen.end);
  if (facts.window > 0) {
    seen.begin = std::clamp<int64_t>(last + 1 - facts.window, 0, seen.end);
  }
  return seen;
}

void run_attention_vector(const Instruction& one, std::vector<uint8_t>& ub,
                          const Memory& gm) {
  AttentionUnit unit(one, ub, gm);
  switch (one.function) {
    case VectorFunction::kWidenCache:
      return unit.widen_cache();
    case VectorFunction::kSoftmax:
      return unit.softmax();
    case VectorFunction::kRescale:
      return unit.rescale();
    case VectorFunction::kMerge:
      return unit.merge();
    default:
      return unit.divide();
  }
}

}  // namespace tessera::npu
