// SPDX-License-Identifier: Apache-2.0
//
// The instructions on bytes.

#include "backends/npu_sim/execution/core_memory.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "backends/npu_sim/execution/sparse_region.hpp"
#include "backends/npu_sim/function/half.hpp"
#include "backends/npu_sim/machine/check.hpp"
#include "backends/npu_sim/machine/costs.hpp"
#include "backends/npu_sim/machine/l2_cache.hpp"
#include "tessera/error.hpp"

namespace tessera::npu {
namespace {

constexpr size_t kFractalRows = 16;
constexpr size_t kFractalBytes = 512;
constexpr size_t kBeatBytes = 32;
constexpr size_t kSumBytes = 4;

size_t round_to(size_t value, size_t to) { return (value + to - 1) / to * to; }

template <typename Value>
Value load_value(const uint8_t* from) {
  Value value;
  std::memcpy(&value, from, sizeof(value));
  return value;
}

template <typename Value>
void store_value(uint8_t* to, Value value) {
  std::memcpy(to, &value, sizeof(value));
}

// The bytes of GM at an address.
uint8_t* gm_bytes_at(Memory& gm, uint64_t address, size_t bytes) {
  const uint64_t tensor = L2Cache::tensor_of(address);
  const uint64_t offset = address & ((uint64_t{1} << 40) - 1);
  const auto found = gm.tensors.find(tensor);
  if (found == gm.tensors.end() || offset > found->second.size() ||
      bytes > found->second.size() - offset) {
    throw sdk::Error(TSR_INVALID_ARGUMENT,
                     "memory: tensor " + std::to_string(tensor) +
                         " has no bytes [" + std::to_string(offset) + ", +" +
                         std::to_string(bytes) + ")");
  }
  return found->second.data() + offset;
}

// Byte offset of an accumulator in L0C.
size_t sum_offset(size_t row, size_t column, size_t rows) {
  return ((column / kFractalRows * rows + row) * kFractalRows +
          column % kFractalRows) *
         kSumBytes;
}

FixpipeScale scale_of(const Memory& gm, size_t channel) {
  if (channel >= gm.fixpipe_words.size()) {
    throw sdk::Error(
        TSR_INVALID_ARGUMENT,
        "memory: no fixpipe word of channel " + std::to_string(channel));
  }
  return read_fixpipe_word(gm.fixpipe_words[channel], gm.numerics);
}

// One accumulator on its way out.
void quantize(FixpipeMode mode, const uint8_t* sum, size_t channel,
              const Memory& gm, uint8_t* place) {
  switch (mode) {
    case FixpipeMode::kNone:
    case FixpipeMode::kTimed:
      std::copy_n(sum, kSumBytes, place);
      break;
    case FixpipeMode::kF16:
      store_value(place, f16_from_f32(load_value<float>(sum)));
      break;
    case FixpipeMode::kDeqF16:
      store_value(place,
                  deqf16(load_value<int32_t>(sum), scale_of(gm, channel)));
      break;
    case FixpipeMode::kReq8:
      *place = static_cast<uint8_t>(
          req8(load_value<int32_t>(sum), scale_of(gm, channel)));
      break;
    case FixpipeMode::kQf322B8:
      *place = static_cast<uint8_t>(
          qf322b8(load_value<float>(sum), scale_of(gm, channel)));
      break;
  }
}

float widen(uint16_t half) { return f32_from_f16(half); }
int32_t widen(int8_t code) { return code; }

}  // namespace

CoreMemory::CoreMemory(const Profile& profile) {
  for (size_t i = 1; i < spaces_.size(); ++i) {
    spaces_.at(i).resize(
        static_cast<size_t>(capacity_of(profile, static_cast<Space>(i))));
  }
}

std::string CoreMemory::run(const Instruction& one, Memory& gm) {
  switch (one.opcode) {
    case Opcode::kCopyIn:
      return copy_in(one, gm);
    case Opcode::kUnzip:
      return unzip(one, gm);
    case Opcode::kLoadA:
    case Opcode::kLoadB:
      load(one);
      return {};
    case Opcode::kMmad:
      return mmad(one);
    case Opcode::kFixpipe:
      return fixpipe(one, gm);
    case Opcode::kDrain:
      drain(one);
      return {};
    case Opcode::kVector:
      return vector(one, gm);
    case Opcode::kCopyOut:
      if (one.dst_space != Space::kGm) return "is timed only";
      copy_out(one, gm);
      return {};
    default:
      return {};
  }
}

std::string CoreMemory::copy_in(const Instruction& one, Memory& gm) {
  if (one.transpose) return "transposed operands are timed only";
  if (one.dst_space == Space::kL1 && !one.nd_to_nz) {
    return "only ND -> NZ is carried out, others are timed only";
  }
  std::vector<uint8_t>& target = space(one.dst_space);
  const size_t rows = round_to(one.m, kFractalRows);
  const size_t pitch = round_to(one.row_bytes, kBeatBytes);
  if (one.nd_to_nz) {
    std::fill_n(target.begin() + static_cast<int64_t>(one.dst), rows * pitch,
                uint8_t{0});
  }
  for (size_t row = 0; row < one.m; ++row) {
    const uint8_t* source =
        gm_bytes_at(gm, one.src + row * one.row_stride, one.row_bytes);
    if (!one.nd_to_nz) {
      std::copy_n(source, one.row_bytes, target.data() + one.dst + row * pitch);
      continue;
    }
    for (size_t at = 0; at < one.row_bytes; at += kBeatBytes) {
      const size_t bytes = std::min<size_t>(kBeatBytes, one.row_bytes - at);
      std::copy_n(source + at, bytes,
                  target.data() + one.dst + at * rows + row * kBeatBytes);
    }
  }
  return {};
}

// The tiles that hold rows and columns of the weight, into NZ.
std::string CoreMemory::unzip(const Instruction& one, const Memory& gm) {
  if (gm.sparse_columns <= 0) {
    throw sdk::Error(TSR_INVALID_ARGUMENT, "memory: no sparse weight");
  }
  const auto offset = static_cast<int64_t>(one.src & ((uint64_t{1} << 40) - 1));
  const int64_t first_row = offset / gm.sparse_columns;
  const int64_t first_column = offset % gm.sparse_columns;
  const size_t rows = round_to(one.n, kFractalRows);
  uint8_t* target = space(Space::kL1).data() + one.dst;
  std::fill_n(target, rows * round_to(one.k, kBeatBytes), uint8_t{0});
  const std::vector<int8_t> codes =
      expand_region(gm, {first_row, first_column, one.n, one.k});
  for (size_t row = 0; row < one.n; ++row) {
    for (size_t column = 0; column < one.k; ++column) {
      target[column / kBeatBytes * rows * kBeatBytes + row * kBeatBytes +
             column % kBeatBytes] =
          static_cast<uint8_t>(codes[row * one.k + column]);
    }
  }
  return {};
}

// Fractal (i of 16 rows, j of 32 bytes) lies at row-major (i, j) in L0A, at (j,
// i) in L0B.
void CoreMemory::load(const Instruction& one) {
  const bool is_a = one.opcode == Opcode::kLoadA;
  const size_t high =
      round_to(is_a ? one.m : one.n, kFractalRows) / kFractalRows;
  const auto k0 = static_cast<size_t>(fractal_k(one.type));
  const size_t wide = round_to(one.k, k0) / k0;
  const uint8_t* source = space(Space::kL1).data() + one.src;
  uint8_t* target = space(one.dst_space).data() + one.dst;
  for (size_t i = 0; i < high; ++i) {
    for (size_t j = 0; j < wide; ++j) {
      const size_t fractal = is_a ? i * wide + j : j * high + i;
      std::copy_n(source + j * one.row_stride + i * kFractalBytes,
                  kFractalBytes, target + fractal * kFractalBytes);
    }
  }
}

template <typename Element, typename Sum>
void CoreMemory::multiply(const Instruction& one) {
  constexpr size_t kRow = kBeatBytes / sizeof(Element);  // K of a fractal
  const size_t wide = round_to(one.k, kRow) / kRow;
  const size_t high = round_to(one.n, kFractalRows) / kFractalRows;
  const size_t rows = round_to(one.m, kFractalRows);
  const uint8_t* a = space(Space::kL0a).data() + one.src;
  const uint8_t* b = space(Space::kL0b).data() + one.src2;
  uint8_t* c = space(Space::kL0c).data() + one.dst;
  const auto element = [](const uint8_t* base, size_t fractal, size_t row,
                          size_t k) {
    return widen(load_value<Element>(base + fractal * kFractalBytes +
                                     row * kBeatBytes + k * sizeof(Element)));
  };
  for (size_t row = 0; row < one.m; ++row) {
    for (size_t column = 0; column < one.n; ++column) {
      uint8_t* place = c + sum_offset(row, column, rows);
      Sum sum = one.accumulate ? load_value<Sum>(place) : Sum{0};
      for (size_t k = 0; k < one.k; ++k) {
        const Sum left = element(a, row / kFractalRows * wide + k / kRow,
                                 row % kFractalRows, k % kRow);
        const Sum right = element(b, k / kRow * high + column / kFractalRows,
                                  column % kFractalRows, k % kRow);
        sum += left * right;
      }
      store_value(place, sum);
    }
  }
}

std::string CoreMemory::mmad(const Instruction& one) {
  if (one.type == Type::kF16) {
    multiply<uint16_t, float>(one);
  } else if (one.type == Type::kS8) {
    multiply<int8_t, int32_t>(one);
  } else {
    return std::string(name_of(one.type)) + " is timed only";
  }
  return {};
}

std::string CoreMemory::fixpipe(const Instruction& one, Memory& gm) {
  if (one.accumulate) return "sums in gm are timed only";
  if (one.fixpipe == FixpipeMode::kTimed) {
    return "results of this type are timed only";
  }
  const size_t rows = one.k != 0 ? one.k : round_to(one.m, kFractalRows);
  const size_t element = one.row_bytes / one.n;
  const uint8_t* source = space(Space::kL0c).data() + one.src;
  for (size_t row = 0; row < one.m; ++row) {
    uint8_t* target =
        gm_bytes_at(gm, one.dst + row * one.row_stride, one.row_bytes);
    for (size_t column = 0; column < one.n; ++column) {
      quantize(one.fixpipe, source + sum_offset(row, column, rows),
               static_cast<size_t>(one.src2) + column, gm,
               target + column * element);
    }
  }
  return {};
}

void CoreMemory::drain(const Instruction& one) {
  const size_t rows = round_to(one.m, kFractalRows);
  const uint8_t* source = space(Space::kL0c).data() + one.src;
  uint8_t* target = space(Space::kUb).data() + one.dst;
  for (size_t row = 0; row < one.m; ++row) {
    for (size_t column = 0; column < one.n; ++column) {
      std::copy_n(source + sum_offset(row, column, rows), kSumBytes,
                  target + (row * one.n + column) * kSumBytes);
    }
  }
}

std::string CoreMemory::vector(const Instruction& one, const Memory& gm) {
  switch (one.function) {
    case VectorFunction::kNone:
      return "is timed only";
    case VectorFunction::kPart:
      break;
    case VectorFunction::kQuantize:
      quantize_input(one, gm);
      break;
    case VectorFunction::kDequantS32:
    case VectorFunction::kF32ToF16:
      narrow_sums(one, gm);
      break;
  }
  return {};
}

void CoreMemory::quantize_input(const Instruction& one, const Memory& gm) {
  std::vector<uint8_t>& ub = space(Space::kUb);
  for (size_t i = 0; i < size_t{one.m} * one.n; ++i) {
    const float x =
        f32_from_f16(load_value<uint16_t>(ub.data() + one.src + 2 * i));
    const float code = std::nearbyint(x * gm.inverse_scale) +
                       static_cast<float>(gm.zero_point);
    ub[one.dst + i] = static_cast<uint8_t>(
        static_cast<int8_t>(std::clamp(code, -128.0f, 127.0f)));
  }
}

// Rows of 32-bit sums to rows of f16, each at a multiple of a beat.
void CoreMemory::narrow_sums(const Instruction& one, const Memory& gm) {
  std::vector<uint8_t>& ub = space(Space::kUb);
  const size_t count = size_t{one.m} * one.n;
  const size_t columns = one.k;
  const size_t pitch = round_to(columns * 2, kBeatBytes);
  const auto begin = ub.begin() + static_cast<int64_t>(one.src);
  const std::vector<uint8_t> sums(
      begin, begin + static_cast<int64_t>(count * kSumBytes));
  for (size_t i = 0; i < count; ++i) {
    const uint8_t* from = sums.data() + i * kSumBytes;
    float value = 0;
    if (one.function == VectorFunction::kDequantS32) {
      const size_t channel = static_cast<size_t>(one.src2) + i % columns;
      if (channel >= gm.scales.size()) {
        throw sdk::Error(TSR_INVALID_ARGUMENT, "memory: no scale of channel " +
                                                   std::to_string(channel));
      }
      value =
          static_cast<float>(load_value<int32_t>(from)) * gm.scales[channel];
    } else {
      value = load_value<float>(from);
    }
    const size_t offset =
        one.dst + i / columns * pitch + i % columns * sizeof(uint16_t);
    if (offset + sizeof(uint16_t) > ub.size()) {
      throw sdk::Error(TSR_INTERNAL, "memory: results leave ub");
    }
    store_value(ub.data() + offset, f16_from_f32(value));
  }
}

void CoreMemory::copy_out(const Instruction& one, Memory& gm) {
  const uint8_t* source = space(Space::kUb).data() + one.src;
  const size_t pitch = round_to(one.row_bytes, kBeatBytes);
  for (size_t row = 0; row < one.m; ++row) {
    std::copy_n(source + row * pitch, one.row_bytes,
                gm_bytes_at(gm, one.dst + row * one.row_stride, one.row_bytes));
  }
}

}  // namespace tessera::npu
