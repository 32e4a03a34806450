// SPDX-License-Identifier: Apache-2.0
//
// The instructions on bytes.

#include "backends/npu_sim/execution/core_memory.hpp"

#include <algorithm>
#include <optional>

#include "backends/npu_sim/execution/bytes.hpp"
#include "backends/npu_sim/execution/sparse_region.hpp"
#include "backends/npu_sim/execution/vector_unit.hpp"
#include "backends/npu_sim/function/float8.hpp"
#include "backends/npu_sim/function/half.hpp"
#include "backends/npu_sim/machine/check.hpp"
#include "backends/npu_sim/machine/costs.hpp"
#include "backends/npu_sim/machine/l2_cache.hpp"
#include "tessera/error.hpp"

namespace tessera::npu {
namespace {

constexpr size_t kFractalRows = 16;
constexpr size_t kFractalBytes = 512;
constexpr size_t kSumBytes = 4;

// The bytes of GM at an address.
uint8_t* gm_bytes_at(Memory& gm, uint64_t address, size_t bytes) {
  const uint64_t tensor = L2Cache::tensor_of(address);
  const uint64_t offset = address & ((uint64_t{1} << kTensorBits) - 1);
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
void quantize(const Instruction& one, const uint8_t* sum, size_t channel,
              const Memory& gm, uint8_t* place) {
  switch (one.fixpipe) {
    case FixpipeMode::kNone:
      std::copy_n(sum, kSumBytes, place);
      break;
    case FixpipeMode::kF16:
      store_value(place, f16_from_f32(load_value<float>(sum)));
      break;
    case FixpipeMode::kBf16:
      store_value(place,
                  one.type == Type::kS32
                      ? deqbf16(load_value<int32_t>(sum), scale_of(gm, channel))
                      : bf16_from_f32(load_value<float>(sum)));
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

// Element `from` of one row of 32 bytes to element `to` of another.
void move_element(Type type, const uint8_t* source, size_t from,
                  uint8_t* target, size_t to) {
  if (type == Type::kS4) {
    const auto nibble =
        static_cast<uint8_t>((source[from / 2] >> (from % 2 * 4)) & 0x0F);
    target[to / 2] =
        static_cast<uint8_t>(target[to / 2] | nibble << to % 2 * 4);
    return;
  }
  const auto bytes = static_cast<size_t>(bits_of(type) / 8);
  std::copy_n(source + from * bytes, bytes, target + to * bytes);
}

// How the cube reads element `at` of a row of 32 bytes.
struct ReadF16 {
  static constexpr size_t kRow = 16;
  static float read(const uint8_t* row, size_t at) {
    return f32_from_f16(load_value<uint16_t>(row + 2 * at));
  }
};
struct ReadBf16 {
  static constexpr size_t kRow = 16;
  static float read(const uint8_t* row, size_t at) {
    return f32_from_bf16(load_value<uint16_t>(row + 2 * at));
  }
};
struct ReadS8 {
  static constexpr size_t kRow = 32;
  static int32_t read(const uint8_t* row, size_t at) {
    return static_cast<int8_t>(row[at]);
  }
};
struct ReadF8 {
  static constexpr size_t kRow = 32;
  static float read(const uint8_t* row, size_t at) {
    return f32_from_f8(row[at]);
  }
};
struct ReadS4 {
  static constexpr size_t kRow = 64;
  static int32_t read(const uint8_t* row, size_t at) {
    return signed_nibble(row, at);
  }
};

}  // namespace

CoreMemory::CoreMemory(const Profile& profile) {
  for (size_t i = 1; i < spaces_.size(); ++i) {
    capacities_.at(i) =
        static_cast<size_t>(capacity_of(profile, static_cast<Space>(i)));
  }
}

// A core that nothing runs on takes no memory.
std::vector<uint8_t>& CoreMemory::space(Space name) {
  std::vector<uint8_t>& bytes = spaces_.at(static_cast<size_t>(name));
  if (bytes.empty()) bytes.resize(capacities_.at(static_cast<size_t>(name)));
  return bytes;
}

std::string CoreMemory::run(const Instruction& one, Memory& gm) {
  switch (one.opcode) {
    case Opcode::kCopyIn:
      copy_in(one, gm);
      return {};
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
      return run_vector(one, space(Space::kUb), gm);
    case Opcode::kCopyOut:
      copy_out(one, gm);
      return {};
    default:
      return {};
  }
}

namespace {

// Rows to rows, or to columns of fractals.
void place_row(const Instruction& one, size_t row, const uint8_t* source,
               uint8_t* target) {
  if (!one.nd_to_nz) {
    const size_t own = round_to(one.row_bytes, kBeatBytes);
    const size_t pitch = one.pitch > 0 ? one.pitch : own;
    std::copy_n(source, one.row_bytes, target + row * pitch);
    return;
  }
  const size_t own = round_to(one.m, kFractalRows) * kBeatBytes;
  const size_t pitch = one.pitch > 0 ? one.pitch : own;
  for (size_t at = 0; at < one.row_bytes; at += kBeatBytes) {
    const size_t bytes = std::min<size_t>(kBeatBytes, one.row_bytes - at);
    uint8_t* place = target + at / kBeatBytes * pitch + row * kBeatBytes;
    std::fill_n(place, kBeatBytes, uint8_t{0});
    std::copy_n(source + at, bytes, place);
  }
}

// Bytes by which an index moves a copy; none if nothing is to be moved.
std::optional<uint64_t> moved_by_data(const Indirection& way,
                                      const Memory& gm) {
  if (way.per_block == 0) return 0;
  if (way.number >= gm.indices.size()) {
    throw sdk::Error(TSR_INVALID_ARGUMENT,
                     "memory: no index " + std::to_string(way.number));
  }
  const int32_t index = gm.indices[way.number];
  if (index < 0) return std::nullopt;
  const uint64_t moved = moved_by(way, static_cast<uint64_t>(index));
  // Half of what a tensor may have, so that no sum reaches the next one.
  if (moved >> (kTensorBits - 1) != 0) {
    throw sdk::Error(
        TSR_INVALID_ARGUMENT,
        "memory: index " + std::to_string(index) + " is beyond its tensor");
  }
  return moved;
}

}  // namespace

void CoreMemory::copy_in(const Instruction& one, Memory& gm) {
  const std::optional<uint64_t> moved = moved_by_data(one.indirection, gm);
  if (!moved) return;
  uint8_t* target = space(one.dst_space).data() + one.dst;
  for (size_t row = 0; row < one.m; ++row) {
    const uint64_t place = one.src + *moved + row * one.row_stride;
    place_row(one, row, gm_bytes_at(gm, place, one.row_bytes), target);
  }
}

// The tiles that hold rows and columns of the weight, into NZ.
std::string CoreMemory::unzip(const Instruction& one, const Memory& gm) {
  if (gm.sparse_columns <= 0) {
    throw sdk::Error(TSR_INVALID_ARGUMENT, "memory: no sparse weight");
  }
  const auto offset =
      static_cast<int64_t>(one.src & ((uint64_t{1} << kTensorBits) - 1));
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
  const size_t rows = is_a ? one.m : one.n;
  const size_t high = round_to(rows, kFractalRows) / kFractalRows;
  const auto k0 = static_cast<size_t>(fractal_k(one.type));
  const size_t wide = round_to(one.k, k0) / k0;
  const uint8_t* source = space(Space::kL1).data() + one.src;
  uint8_t* target = space(one.dst_space).data() + one.dst;
  const auto fractal_at = [&](size_t i, size_t j) {
    return target + (is_a ? i * wide + j : j * high + i) * kFractalBytes;
  };
  if (!one.transpose) {
    for (size_t i = 0; i < high; ++i) {
      for (size_t j = 0; j < wide; ++j) {
        std::copy_n(source + j * one.row_stride + i * kFractalBytes,
                    kFractalBytes, fractal_at(i, j));
      }
    }
    return;
  }
  std::fill_n(target, high * wide * kFractalBytes, uint8_t{0});
  for (size_t row = 0; row < rows; ++row) {
    const uint8_t* block = source + row / k0 * one.row_stride;
    for (size_t k = 0; k < one.k; ++k) {
      move_element(one.type, block + k * kBeatBytes, row % k0,
                   fractal_at(row / kFractalRows, k / k0) +
                       row % kFractalRows * kBeatBytes,
                   k % k0);
    }
  }
}

template <typename Read, typename Sum>
void CoreMemory::multiply(const Instruction& one) {
  constexpr size_t kRow = Read::kRow;  // K of a fractal
  const size_t wide = round_to(one.k, kRow) / kRow;
  const size_t high = round_to(one.n, kFractalRows) / kFractalRows;
  const size_t rows = round_to(one.m, kFractalRows);
  const uint8_t* a = space(Space::kL0a).data() + one.src;
  const uint8_t* b = space(Space::kL0b).data() + one.src2;
  uint8_t* c = space(Space::kL0c).data() + one.dst;
  const auto element = [](const uint8_t* base, size_t fractal, size_t row,
                          size_t k) {
    return Read::read(base + fractal * kFractalBytes + row * kBeatBytes, k);
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
  switch (one.type) {
    case Type::kF16:
      multiply<ReadF16, float>(one);
      return {};
    case Type::kBf16:
      multiply<ReadBf16, float>(one);
      return {};
    case Type::kS8:
      multiply<ReadS8, int32_t>(one);
      return {};
    case Type::kS4:
      multiply<ReadS4, int32_t>(one);
      return {};
    case Type::kF8:
      multiply<ReadF8, float>(one);
      return {};
    default:
      return std::string(name_of(one.type)) + " is timed only";
  }
}

std::string CoreMemory::fixpipe(const Instruction& one, Memory& gm) {
  if (one.accumulate) return "sums in gm are timed only";
  const size_t rows = one.k != 0 ? one.k : round_to(one.m, kFractalRows);
  const size_t element = one.row_bytes / one.n;
  const uint8_t* source = space(Space::kL0c).data() + one.src;
  for (size_t row = 0; row < one.m; ++row) {
    uint8_t* target =
        gm_bytes_at(gm, one.dst + row * one.row_stride, one.row_bytes);
    for (size_t column = 0; column < one.n; ++column) {
      quantize(one, source + sum_offset(row, column, rows),
               static_cast<size_t>(one.src2) + column, gm,
               target + column * element);
    }
  }
  return {};
}

void CoreMemory::drain(const Instruction& one) {
  const size_t rows = one.k != 0 ? one.k : round_to(one.m, kFractalRows);
  const size_t own = round_to(one.n * kSumBytes, kBeatBytes);
  const size_t pitch = one.pitch > 0 ? one.pitch : own;
  const uint8_t* source = space(Space::kL0c).data() + one.src;
  uint8_t* target = space(Space::kUb).data() + one.dst;
  for (size_t row = 0; row < one.m; ++row) {
    for (size_t column = 0; column < one.n; ++column) {
      std::copy_n(source + sum_offset(row, column, rows), kSumBytes,
                  target + row * pitch + column * kSumBytes);
    }
  }
}

void CoreMemory::copy_out(const Instruction& one, Memory& gm) {
  const uint8_t* source = space(Space::kUb).data() + one.src;
  const size_t pitch = round_to(one.row_bytes, kBeatBytes);
  const std::optional<uint64_t> moved = moved_by_data(one.indirection, gm);
  if (!moved) return;
  for (size_t row = 0; row < one.m; ++row) {
    if (one.dst_space == Space::kGm) {
      const uint64_t place = one.dst + *moved + row * one.row_stride;
      std::copy_n(source + row * pitch, one.row_bytes,
                  gm_bytes_at(gm, place, one.row_bytes));
    } else {
      place_row(one, row, source + row * pitch,
                space(one.dst_space).data() + one.dst);
    }
  }
}

}  // namespace tessera::npu
