// SPDX-License-Identifier: Apache-2.0
//
// The footprint of every operand against the memory it lies in.

#include "backends/npu_sim/machine/check.hpp"

#include "backends/npu_sim/machine/check_vector.hpp"
#include "backends/npu_sim/machine/costs.hpp"

namespace tessera::npu {
namespace {

constexpr int64_t kFractalBytes = 512;
constexpr int64_t kAccumulatorFractalBytes = 1024;
constexpr int64_t kAccumulatorRowBytes = 64;  // of a fractal
constexpr int64_t kFloatBytes = 4;
constexpr int64_t kFractalRows = 16;

int64_t round_up(int64_t value, int64_t to) {
  return (value + to - 1) / to * to;
}

int64_t fractals(int64_t elements, int64_t of) {
  return (elements + of - 1) / of;
}

struct Operand {
  const char* name;
  Space space;
  uint64_t begin;
  int64_t bytes;
  int64_t alignment;
};

std::string where(const Operand& operand) {
  return std::string(operand.name) + " " + name_of(operand.space) + "[" +
         std::to_string(operand.begin) + ", +" + std::to_string(operand.bytes) +
         ")";
}

// Of every instruction that runs: text is made only of what is wrong.
std::string check_operand(const Profile& profile, const Operand& operand) {
  const int64_t capacity = capacity_of(profile, operand.space);
  if (operand.begin % static_cast<uint64_t>(operand.alignment) != 0) {
    return where(operand) + " must start at a multiple of " +
           std::to_string(operand.alignment);
  }
  if (operand.begin > static_cast<uint64_t>(capacity) ||
      operand.bytes > capacity - static_cast<int64_t>(operand.begin)) {
    return where(operand) + " is beyond its " + std::to_string(capacity) +
           " bytes";
  }
  return {};
}

int64_t matrix_bytes(int64_t rows, int64_t k, Type type) {
  return fractals(rows, kFractalRows) * fractals(k, fractal_k(type)) *
         kFractalBytes;
}

int64_t accumulator_bytes(const Instruction& one) {
  return fractals(one.m, kFractalRows) * fractals(one.n, kFractalRows) *
         kAccumulatorFractalBytes;
}

// Of rows that leave; k: the rows of what they are part of.
int64_t leaving_bytes(const Instruction& one) {
  if (one.k == 0) return accumulator_bytes(one);
  return (fractals(one.n, kFractalRows) - 1) * one.k * kAccumulatorRowBytes +
         one.m * kAccumulatorRowBytes;
}

std::string first_of(const std::string& one, const std::string& other) {
  return one.empty() ? other : one;
}

// From the first byte of a copy's target to the last.
int64_t target_span(const Instruction& copy) {
  const int64_t row = round_up(copy.row_bytes, kBeatBytes);
  if (copy.pitch == 0) {
    return row *
           (copy.nd_to_nz ? round_up(copy.m, kFractalRows) : int64_t{copy.m});
  }
  return copy.nd_to_nz
             ? (row / kBeatBytes - 1) * copy.pitch + copy.m * kBeatBytes
             : (copy.m - 1) * int64_t{copy.pitch} + row;
}

std::string check_copy_in(const Profile& profile, const Instruction& copy) {
  if (copy.dst_space != Space::kL1 && copy.dst_space != Space::kUb) {
    return std::string("cannot write ") + name_of(copy.dst_space);
  }
  return check_operand(profile, {"dst", copy.dst_space, copy.dst,
                                 target_span(copy), kBeatBytes});
}

// From the first byte in L1 to the last: blocks, row_stride apart.
int64_t load_span(const Instruction& load, int64_t rows) {
  const int64_t k0 = fractal_k(load.type);
  const int64_t stride = static_cast<int64_t>(load.row_stride);
  return load.transpose
             ? (fractals(rows, k0) - 1) * stride + load.k * kBeatBytes
             : (fractals(load.k, k0) - 1) * stride +
                   round_up(rows, kFractalRows) * kBeatBytes;
}

std::string check_load(const Profile& profile, const Instruction& load) {
  const bool is_a = load.opcode == Opcode::kLoadA;
  const int64_t rows = is_a ? load.m : load.n;
  return first_of(
      check_operand(profile,
                    {"dst", is_a ? Space::kL0a : Space::kL0b, load.dst,
                     matrix_bytes(rows, load.k, load.type), kFractalBytes}),
      check_operand(profile, {"src", Space::kL1, load.src,
                              load_span(load, rows), kBeatBytes}));
}

std::string check_mmad(const Profile& profile, const Instruction& mmad) {
  if (cube_macs(profile, mmad.type) == 0) {
    return std::string("the cube of ") + profile.name + " has no " +
           name_of(mmad.type);
  }
  return first_of(
      check_operand(profile,
                    {"dst", Space::kL0c, mmad.dst, accumulator_bytes(mmad),
                     kAccumulatorFractalBytes}),
      first_of(check_operand(profile, {"src", Space::kL0a, mmad.src,
                                       matrix_bytes(mmad.m, mmad.k, mmad.type),
                                       kFractalBytes}),
               check_operand(profile, {"src2", Space::kL0b, mmad.src2,
                                       matrix_bytes(mmad.n, mmad.k, mmad.type),
                                       kFractalBytes})));
}

std::string check_accumulator(const Profile& profile, const Instruction& one) {
  if (one.opcode == Opcode::kFixpipe && !profile.exit.fixpipe) {
    return profile.name + " has no fixpipe";
  }
  if (one.opcode == Opcode::kDrain && profile.exit.l0c_to_ub_rate <= 0) {
    return profile.name + " has no path from l0c to ub";
  }
  std::string wrong = check_operand(
      profile,
      {"src", Space::kL0c, one.src, leaving_bytes(one), kAccumulatorRowBytes});
  if (one.opcode == Opcode::kFixpipe) return wrong;
  const int64_t row =
      round_up(int64_t{one.n} * bits_of(one.type) / 8, kBeatBytes);
  const int64_t pitch = one.pitch > 0 ? one.pitch : row;
  return first_of(
      wrong, check_operand(profile, {"dst", Space::kUb, one.dst,
                                     (one.m - 1) * pitch + row, kBeatBytes}));
}

// Scales of rows may begin anywhere; everything else at a beat.
std::string check_vector(const Profile& profile, const Instruction& one) {
  for (const UbOperand& operand : vector_operands(one)) {
    const bool is_tile = operand.begin == one.dst || operand.begin == one.src;
    std::string wrong = check_operand(
        profile, {operand.name, Space::kUb, operand.begin, operand.bytes,
                  is_tile ? kBeatBytes : kFloatBytes});
    if (!wrong.empty()) return wrong;
  }
  return {};
}

std::string check_copy_out(const Profile& profile, const Instruction& copy) {
  std::string wrong = check_operand(
      profile,
      {"src", Space::kUb, copy.src,
       int64_t{copy.m} * round_up(copy.row_bytes, kBeatBytes), kBeatBytes});
  if (copy.dst_space == Space::kGm) return wrong;
  if (copy.dst_space != Space::kL1) {
    return first_of(wrong,
                    std::string("cannot write ") + name_of(copy.dst_space));
  }
  return first_of(wrong,
                  check_operand(profile, {"dst", Space::kL1, copy.dst,
                                          target_span(copy), kBeatBytes}));
}

std::string check_operands(const Profile& profile, const Instruction& one) {
  switch (one.opcode) {
    case Opcode::kCopyIn:
      return check_copy_in(profile, one);
    case Opcode::kUnzip:
      if (profile.unzip.engines == 0) {
        return profile.name + " has no unzip engine";
      }
      return check_operand(profile,
                           {"dst", Space::kL1, one.dst,
                            matrix_bytes(one.n, one.k, Type::kS8), kBeatBytes});
    case Opcode::kLoadA:
    case Opcode::kLoadB:
      return check_load(profile, one);
    case Opcode::kMmad:
      return check_mmad(profile, one);
    case Opcode::kFixpipe:
    case Opcode::kDrain:
      return check_accumulator(profile, one);
    case Opcode::kVector:
      return check_vector(profile, one);
    case Opcode::kCopyOut:
      return check_copy_out(profile, one);
    default:
      return {};
  }
}

Pipe pipe_of(Opcode opcode) {
  switch (opcode) {
    case Opcode::kCopyIn:
    case Opcode::kUnzip:
      return Pipe::kMte2;
    case Opcode::kLoadA:
    case Opcode::kLoadB:
      return Pipe::kMte1;
    case Opcode::kMmad:
      return Pipe::kCube;
    case Opcode::kFixpipe:
      return Pipe::kFixpipe;
    case Opcode::kDrain:
    case Opcode::kVector:
      return Pipe::kVector;
    case Opcode::kCopyOut:
      return Pipe::kMte3;
    default:
      return Pipe::kScalar;
  }
}

bool is_cube_pipe(Pipe pipe) {
  return pipe == Pipe::kCube || pipe == Pipe::kMte1 || pipe == Pipe::kFixpipe;
}

bool is_vector_pipe(Pipe pipe) {
  return pipe == Pipe::kVector || pipe == Pipe::kMte3;
}

}  // namespace

int64_t capacity_of(const Profile& profile, Space space) {
  switch (space) {
    case Space::kGm:
      return profile.global.dram_bytes;
    case Space::kL1:
      return profile.local.l1_bytes;
    case Space::kL0a:
      return profile.local.l0a_bytes;
    case Space::kL0b:
      return profile.local.l0b_bytes;
    case Space::kL0c:
      return profile.local.l0c_bytes;
    case Space::kUb:
      return profile.local.ub_bytes;
  }
  return 0;
}

std::string violation(const Profile& profile, const Stream::Core& core,
                      const Instruction& instruction) {
  if ((is_cube_pipe(instruction.pipe) && !core.has_cube) ||
      (is_vector_pipe(instruction.pipe) && !core.has_vector)) {
    return std::string("this core has no ") + name_of(instruction.pipe);
  }
  if (instruction.opcode == Opcode::kSetFlag ||
      instruction.opcode == Opcode::kWaitFlag) {
    return instruction.flag < kNumFlags
               ? std::string()
               : "flag " + std::to_string(instruction.flag) + " of 16";
  }
  if (instruction.opcode != Opcode::kScalar &&
      pipe_of(instruction.opcode) != instruction.pipe) {
    return std::string("belongs on ") + name_of(pipe_of(instruction.opcode));
  }
  return check_operands(profile, instruction);
}

}  // namespace tessera::npu
