// SPDX-License-Identifier: Apache-2.0
//
// One class for each family of functions, all over the same UB.

#include "backends/npu_sim/execution/vector_unit.hpp"

#include <algorithm>
#include <cmath>

#include "backends/npu_sim/execution/append_unit.hpp"
#include "backends/npu_sim/execution/attention_unit.hpp"
#include "backends/npu_sim/execution/bytes.hpp"
#include "backends/npu_sim/execution/integer_attention_unit.hpp"
#include "backends/npu_sim/execution/row_parts.hpp"
#include "backends/npu_sim/execution/row_unit.hpp"
#include "backends/npu_sim/function/activation.hpp"
#include "backends/npu_sim/function/half.hpp"
#include "tessera/error.hpp"
#include "tessera/portable_math.h"

namespace tessera::npu {
namespace {

// Operands of one instruction, checked where they are touched.
class VectorWork {
 public:
  VectorWork(const Instruction& one, std::vector<uint8_t>& ub, const Memory& gm)
      : one_(one), ub_(ub), gm_(gm) {}

  void quantize();
  void quantize_rows();
  void widen();
  void finish();
  void accumulate();
  void add_group();
  void add();
  void cast();

 private:
  uint8_t* at(uint64_t offset, size_t bytes);
  float read(Type type, uint64_t offset, size_t index);
  void write(Type type, uint64_t offset, size_t index, float value);
  void write_code(uint64_t offset, size_t index, int32_t code);
  float write_codes(const std::vector<float>& row, size_t r);
  float weight_scale(size_t index) const;
  float finished(size_t row, size_t column, uint64_t sum);
  float scale_at(size_t row, size_t channel);
  float activated(float value) const;
  size_t count() const { return size_t{one_.m} * one_.n; }

  const Instruction& one_;
  std::vector<uint8_t>& ub_;
  const Memory& gm_;
};

uint8_t* VectorWork::at(uint64_t offset, size_t bytes) {
  if (offset > ub_.size() || bytes > ub_.size() - offset) {
    throw sdk::Error(TSR_INTERNAL, "memory: an operand leaves ub");
  }
  return ub_.data() + offset;
}

float VectorWork::read(Type type, uint64_t offset, size_t index) {
  switch (type) {
    case Type::kF16:
      return f32_from_f16(load_value<uint16_t>(at(offset + 2 * index, 2)));
    case Type::kBf16:
      return f32_from_bf16(load_value<uint16_t>(at(offset + 2 * index, 2)));
    case Type::kS8:
      return static_cast<int8_t>(*at(offset + index, 1));
    case Type::kS4:
      return static_cast<float>(
          signed_nibble(at(offset + index / 2, 1), index % 2));
    case Type::kS32:
      return static_cast<float>(load_value<int32_t>(at(offset + 4 * index, 4)));
    default:
      return load_value<float>(at(offset + 4 * index, 4));
  }
}

void VectorWork::write(Type type, uint64_t offset, size_t index, float value) {
  switch (type) {
    case Type::kF16:
      return store_value(at(offset + 2 * index, 2), f16_from_f32(value));
    case Type::kBf16:
      return store_value(at(offset + 2 * index, 2), bf16_from_f32(value));
    case Type::kS8:
    case Type::kS4:
      return write_code(offset, index, static_cast<int32_t>(value));
    default:
      return store_value(at(offset + 4 * index, 4), value);
  }
}

void VectorWork::write_code(uint64_t offset, size_t index, int32_t code) {
  if (one_.out_type != Type::kS4) {
    *at(offset + index, 1) = static_cast<uint8_t>(static_cast<int8_t>(code));
    return;
  }
  uint8_t* pair = at(offset + index / 2, 1);
  const int shift = index % 2 == 0 ? 0 : 4;
  *pair = static_cast<uint8_t>((*pair & ~(0x0F << shift)) |
                               ((code & 0x0F) << shift));
}

void VectorWork::quantize() {
  for (size_t i = 0; i < count(); ++i) {
    const float product = read(one_.type, one_.src, i) * gm_.inverse_scale;
    write_code(one_.dst, i, round_to_code(product, gm_.zero_point, -128, 127));
  }
}

// Writes the codes of row r; returns their scale.
float VectorWork::write_codes(const std::vector<float>& row, size_t r) {
  const size_t columns = row.size();
  const auto count = static_cast<int64_t>(columns);
  if (one_.out_type == Type::kF8) {
    return quantize_f8(row.data(), count, at(one_.dst + r * columns, columns));
  }
  std::vector<int16_t> codes(columns);
  const int32_t most = one_.out_type == Type::kS4 ? 7 : 127;
  const float scale = quantize_dynamic(row.data(), count, most, codes.data());
  for (size_t i = 0; i < columns; ++i) {
    write_code(one_.dst, r * columns + i, codes[i]);
  }
  return scale;
}

void VectorWork::quantize_rows() {
  const size_t columns = one_.k;
  std::vector<float> row(columns);
  for (size_t r = 0; r < count() / columns; ++r) {
    // All of it before the first code, which may lie over it.
    for (size_t i = 0; i < columns; ++i) {
      row[i] = read(one_.type, one_.src, r * columns + i);
    }
    store_value(at(one_.scales + 4 * r, 4), write_codes(row, r));
  }
}

float VectorWork::weight_scale(size_t index) const {
  const StoredWeight& weight = gm_.weight;
  const auto K = static_cast<size_t>(weight.K);
  const auto N = static_cast<size_t>(weight.N);
  const auto block = static_cast<size_t>(weight.block);
  const size_t whole = block > 0 ? round_to(N, block) * K : N * K;
  const size_t part = index / whole;
  const size_t in_part = index % whole;
  size_t n = in_part / K;
  size_t k = in_part % K;
  if (block > 0) {
    n = in_part / (K * block) * block + in_part % block;
    k = in_part / block % K;
  } else if (!weight.is_nk) {
    n = in_part % N;
    k = in_part / N;
  }
  if (n >= N) return 0;  // what fills the last block
  const auto group =
      static_cast<size_t>(weight.group_size > 0 ? weight.group_size : weight.K);
  const size_t place = (part * N + n) * ((K + group - 1) / group) + k / group;
  if (place >= weight.scales.size()) {
    throw sdk::Error(TSR_INVALID_ARGUMENT,
                     "memory: no weight scale " + std::to_string(place));
  }
  return weight.scales[place];
}

void VectorWork::widen() {
  const bool is_code = one_.out_type == Type::kS8;
  for (size_t i = 0; i < count(); ++i) {
    const float code = read(one_.type, one_.src, i);
    if (is_code) {
      write_code(one_.dst, i, static_cast<int32_t>(code));
    } else {
      const float scale = weight_scale(static_cast<size_t>(one_.src2) + i);
      write(one_.out_type, one_.dst, i, code * scale);
    }
  }
}

float VectorWork::activated(float value) const {
  switch (gm_.activation) {
    case TSR_EPILOGUE_SILU:
      return tsr_silu_f32(value);
    case TSR_EPILOGUE_GELU_ERF:
      return tsr_gelu_erf_f32(value);
    case TSR_EPILOGUE_GELU_TANH:
      return tsr_gelu_tanh_f32(value);
    default:
      return value;
  }
}

// A sum with its scales.
float VectorWork::finished(size_t row, size_t column, uint64_t sum) {
  const bool is_of_groups = one_.function == VectorFunction::kFinishSums;
  if (one_.type != Type::kS32 && !is_of_groups) {
    return read(Type::kF32, sum, 0);
  }
  const size_t channel = static_cast<size_t>(one_.src2) + column;
  if (is_of_groups) return read(Type::kF32, sum, 0) * scale_at(row, channel);
  const auto value = load_value<int32_t>(at(sum, 4));
  if (gm_.vector_cuts_scales && gm_.numerics == Numerics::kHw) {
    if (channel >= gm_.fixpipe_words.size()) {
      throw sdk::Error(TSR_INVALID_ARGUMENT,
                       "memory: no fixpipe word of "
                       "channel " +
                           std::to_string(channel));
    }
    return f32_from_f16(deqf16(
        value, read_fixpipe_word(gm_.fixpipe_words[channel], gm_.numerics)));
  }
  return static_cast<float>(value) * scale_at(row, channel);
}

float VectorWork::scale_at(size_t row, size_t channel) {
  if (channel >= gm_.scales.size()) {
    throw sdk::Error(TSR_INVALID_ARGUMENT,
                     "memory: no scale of channel " + std::to_string(channel));
  }
  const float scale = gm_.scales[channel];
  return gm_.has_row_scales ? read(Type::kF32, one_.scales, row) * scale
                            : scale;
}

void VectorWork::finish() {
  const size_t columns = one_.n;
  const auto bytes = static_cast<size_t>(bits_of(one_.out_type) / 8);
  const size_t sums_pitch = round_to(4 * columns, kBeatBytes);
  const size_t pitch = round_to(bytes * columns, kBeatBytes);
  std::vector<float> values(columns);
  for (size_t row = 0; row < one_.m; ++row) {
    for (size_t j = 0; j < columns; ++j) {
      float value = finished(row, j, one_.src + row * sums_pitch + 4 * j);
      const size_t channel = static_cast<size_t>(one_.src2) + j;
      if (!gm_.bias.empty()) value = value + gm_.bias.at(channel);
      values[j] = activated(value);
      uint64_t other = one_.inputs + row * pitch;
      if (gm_.multiplies) {
        values[j] = values[j] * read(one_.out_type, other, j);
        other += one_.m * pitch;
      }
      if (gm_.adds_residual) {
        values[j] = values[j] + read(one_.out_type, other, j);
      }
    }
    for (size_t j = 0; j < columns; ++j) {
      write(one_.out_type, one_.dst + row * pitch, j, values[j]);
    }
  }
}

void VectorWork::accumulate() {
  for (size_t i = 0; i < count(); ++i) {
    uint8_t* sum = at(one_.dst + 4 * i, 4);
    const uint8_t* more = at(one_.src + 4 * i, 4);
    if (one_.type == Type::kS32) {
      store_value(sum, load_value<int32_t>(sum) + load_value<int32_t>(more));
    } else {
      store_value(sum, load_value<float>(sum) + load_value<float>(more));
    }
  }
}

void VectorWork::add_group() {
  const StoredWeight& weight = gm_.weight;
  const auto groups = static_cast<size_t>(
      weight.group_size > 0
          ? (weight.K + weight.group_size - 1) / weight.group_size
          : 1);
  const size_t pitch = round_to(4 * size_t{one_.n}, kBeatBytes);
  for (size_t row = 0; row < one_.m; ++row) {
    for (size_t j = 0; j < one_.n; ++j) {
      const size_t place =
          (static_cast<size_t>(one_.src2) + j) * groups + one_.k;
      if (place >= weight.scales.size()) {
        throw sdk::Error(TSR_INVALID_ARGUMENT,
                         "memory: no scale of group " + std::to_string(place));
      }
      const uint64_t at_row = row * pitch + 4 * j;
      const auto value =
          static_cast<float>(load_value<int32_t>(at(one_.src + at_row, 4)));
      uint8_t* sum = at(one_.dst + at_row, 4);
      const float before = one_.accumulate ? load_value<float>(sum) : 0;
      store_value(sum, std::fma(value, weight.scales[place], before));
    }
  }
}

void VectorWork::add() {
  for (size_t i = 0; i < count(); ++i) {
    float sum = read(one_.type, one_.src, i);
    for (size_t other = 0; other < one_.k; ++other) {
      const float more =
          sum + read(one_.type, one_.src2 + other * one_.inputs, i);
      write(one_.out_type, one_.dst, i, more);
      sum = read(one_.out_type, one_.dst, i);
    }
    if (one_.k == 0) write(one_.out_type, one_.dst, i, sum);
  }
}

void VectorWork::cast() {
  const auto pitch = [&](Type type) {
    const auto bits = static_cast<size_t>(bits_of(type));
    return round_to((one_.n * bits + 7) / 8, kBeatBytes);
  };
  for (size_t row = 0; row < one_.m; ++row) {
    for (size_t i = 0; i < one_.n; ++i) {
      write(one_.out_type, one_.dst + row * pitch(one_.out_type), i,
            read(one_.type, one_.src + row * pitch(one_.type), i));
    }
  }
}

// What VectorWork has.
void run_work(const Instruction& one, std::vector<uint8_t>& ub,
              const Memory& gm) {
  VectorWork unit(one, ub, gm);
  switch (one.function) {
    case VectorFunction::kQuantize:
      return unit.quantize();
    case VectorFunction::kQuantizeRows:
      return unit.quantize_rows();
    case VectorFunction::kWiden:
      return unit.widen();
    case VectorFunction::kAddGroup:
      return unit.add_group();
    case VectorFunction::kAccumulate:
      return unit.accumulate();
    case VectorFunction::kAdd:
      return unit.add();
    case VectorFunction::kCast:
      return unit.cast();
    default:  // kFinish, kFinishSums
      return unit.finish();
  }
}

}  // namespace

std::string run_vector(const Instruction& one, std::vector<uint8_t>& ub,
                       const Memory& gm) {
  switch (one.function) {
    case VectorFunction::kNone:
      return "is timed only";
    case VectorFunction::kPart:
      break;
    case VectorFunction::kQuantize:
    case VectorFunction::kQuantizeRows:
    case VectorFunction::kWiden:
    case VectorFunction::kFinish:
    case VectorFunction::kFinishSums:
    case VectorFunction::kAddGroup:
    case VectorFunction::kAccumulate:
    case VectorFunction::kAdd:
    case VectorFunction::kCast:
      run_work(one, ub, gm);
      break;
    case VectorFunction::kRowMaximum:
    case VectorFunction::kRowExponentials:
    case VectorFunction::kRowValues:
    case VectorFunction::kRowSquares:
    case VectorFunction::kRowDeviations:
    case VectorFunction::kRmsNormPart:
    case VectorFunction::kLayerNormPart:
    case VectorFunction::kSoftmaxPart:
      run_row_part(one, ub, gm);
      break;
    case VectorFunction::kAppendHeads:
      run_append_vector(one, ub, gm);
      break;
    case VectorFunction::kSiluMul:
    case VectorFunction::kGelu:
    case VectorFunction::kRmsNorm:
    case VectorFunction::kLayerNorm:
    case VectorFunction::kSoftmaxRows:
    case VectorFunction::kRotate:
      run_row_vector(one, ub, gm);
      break;
    case VectorFunction::kWidenCache:
    case VectorFunction::kSoftmax:
      run_attention_vector(one, ub, gm);
      break;
    case VectorFunction::kRescale:
    case VectorFunction::kMerge:
    case VectorFunction::kDivide:
      one.type == Type::kS32 ? run_integer_attention_vector(one, ub, gm)
                             : run_attention_vector(one, ub, gm);
      break;
    case VectorFunction::kQuantizeHeads:
    case VectorFunction::kRowMaxima:
    case VectorFunction::kJoinMaxima:
    case VectorFunction::kWeightCodes:
      run_integer_attention_vector(one, ub, gm);
      break;
  }
  return {};
}

}  // namespace tessera::npu
