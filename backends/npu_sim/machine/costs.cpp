// SPDX-License-Identifier: Apache-2.0
//
// The cost table.

#include "backends/npu_sim/machine/costs.hpp"

#include <algorithm>
#include <cmath>

namespace tessera::npu {
namespace {

constexpr int64_t kFractalRows = 16;
constexpr double kLineBytes = 512;    // of L2
constexpr double kSectorBytes = 128;  // the least L2 moves for a row
constexpr double kUbToL1Rate = 128;   // of the CANN platform ini

int64_t fractals(int64_t elements, int64_t of) {
  return (elements + of - 1) / of;
}

double bytes_of(Type type, double elements) {
  return elements * static_cast<double>(bits_of(type)) / 8;
}

Cost load_cost(const Profile& profile, const Instruction& load) {
  const bool is_a = load.opcode == Opcode::kLoadA;
  const double rate =
      is_a ? profile.local.l1_to_l0a_rate : profile.local.l1_to_l0b_rate;
  const int64_t rows = fractals(is_a ? load.m : load.n, kFractalRows);
  const int64_t columns = fractals(load.k, fractal_k(load.type));
  const double overhead = load.rearranging ? profile.local.load3d_cycles
                                           : profile.local.load2d_cycles;
  const double cycles =
      static_cast<double>(rows * columns) * kLineBytes / rate + overhead;
  return {cycles, cycles};
}

Cost mmad_cost(const Profile& profile, const Instruction& mmad) {
  const double cycles = mmad_cycles(profile, mmad.type, mmad.m, mmad.n, mmad.k);
  return {cycles + profile.cube.issue_cycles,
          cycles + profile.cube.latency_cycles};
}

Cost vector_cost(const Profile& profile, const Instruction& op) {
  const double elements = static_cast<double>(op.m) * op.n;
  const double passes = op.conflicts ? 2 : 1;
  const double cycles = passes * elements / op.elements_per_cycle +
                        static_cast<double>(op.cycles);
  return {cycles + profile.vector.issue_cycles,
          cycles + profile.vector.latency_cycles};
}

Cost drain_cost(const Profile& profile, const Instruction& drain) {
  const double bytes = bytes_of(
      drain.type, static_cast<double>(drain.m) * static_cast<double>(drain.n));
  const double cycles = bytes / profile.exit.l0c_to_ub_rate;
  return {cycles + profile.vector.issue_cycles,
          cycles + profile.vector.latency_cycles};
}

Cost local_copy_cost(const Profile& profile, const Instruction& copy) {
  const double cycles = gm_bytes(copy) / kUbToL1Rate;
  return {std::max(cycles, profile.global.dma_issue_cycles), cycles};
}

}  // namespace

int64_t cube_macs(const Profile& profile, Type type) {
  switch (type) {
    case Type::kF16:
      return profile.cube.macs_f16;
    case Type::kBf16:
      return profile.cube.bf16 ? profile.cube.macs_f16 : 0;
    case Type::kS8:
      return profile.cube.macs_s8;
    case Type::kS4:
      return profile.cube.macs_s4;
    case Type::kF8:
      return profile.cube.macs_f8;
    case Type::kF32:
    case Type::kS32:
      return profile.cube.macs_f16 / 4;
  }
  return 0;
}

double mmad_cycles(const Profile& profile, Type type, int64_t m, int64_t n,
                   int64_t k) {
  const int64_t k0 = fractal_k(type);
  const double work =
      static_cast<double>(fractals(m, kFractalRows) *
                          fractals(n, kFractalRows) * fractals(k, k0)) *
      static_cast<double>(kFractalRows * kFractalRows * k0);
  const double derate = type == Type::kS8 ? profile.assumptions.int8_derate : 1;
  return std::ceil(work / static_cast<double>(cube_macs(profile, type))) /
         derate;
}

bool uses_gm(const Instruction& instruction) {
  switch (instruction.opcode) {
    case Opcode::kCopyIn:
    case Opcode::kUnzip:
    case Opcode::kFixpipe:
      return true;
    case Opcode::kCopyOut:
      return instruction.dst_space == Space::kGm;
    default:
      return false;
  }
}

bool writes_gm(const Instruction& instruction) {
  return instruction.dst_space == Space::kGm;
}

uint64_t gm_begin(const Instruction& instruction) {
  return (writes_gm(instruction) ? instruction.dst : instruction.src) +
         moved_by(instruction.indirection, instruction.indirection.number);
}

double gm_bytes(const Instruction& instruction) {
  if (instruction.opcode == Opcode::kUnzip) return instruction.stored_bytes;
  return static_cast<double>(instruction.m) * instruction.row_bytes;
}

double l2_cycles(const Profile& profile, double bytes) {
  const double rate = profile.assumptions.l2_global_bytes_per_cycle;
  return rate > 0 ? bytes / rate : 0;
}

double row_penalty(const Profile& profile, double row_bytes,
                   uint64_t row_stride, uint64_t first, bool many_rows) {
  const uint64_t line = static_cast<uint64_t>(kLineBytes);
  const bool aligned =
      first % line == 0 && (!many_rows || row_stride % line == 0);
  double factor = std::max(1.0, kSectorBytes / std::max(row_bytes, 1.0));
  if (aligned) return factor;
  const bool off_beat =
      first % kBeatBytes != 0 || (many_rows && row_stride % kBeatBytes != 0);
  // A whole line more matters less to a long row; rows off a beat shift all.
  const double reach = off_beat ? 1 : std::min(1.0, kLineBytes / row_bytes);
  return factor * (1 + (1 / profile.global.unaligned_factor - 1) * reach);
}

double write_penalty(const Profile& profile, double row_bytes,
                     uint64_t row_stride, uint64_t first, bool many_rows) {
  const double penalty =
      row_penalty(profile, row_bytes, row_stride, first, many_rows);
  const bool is_whole = first % kBeatBytes == 0 &&
                        std::fmod(row_bytes, kBeatBytes) == 0 &&
                        (!many_rows || row_stride % kBeatBytes == 0);
  if (is_whole) return penalty;
  constexpr double kPartBytes = 2.0 * kBeatBytes;  // at both ends
  return penalty * (1 + kPartBytes / std::max(row_bytes, kPartBytes));
}

Cost cost_of(const Profile& profile, const Instruction& instruction) {
  switch (instruction.opcode) {
    case Opcode::kLoadA:
    case Opcode::kLoadB:
      return load_cost(profile, instruction);
    case Opcode::kMmad:
      return mmad_cost(profile, instruction);
    case Opcode::kVector:
      return vector_cost(profile, instruction);
    case Opcode::kDrain:
      return drain_cost(profile, instruction);
    case Opcode::kCopyOut:
      return local_copy_cost(profile, instruction);
    default:
      return {instruction.cycles, instruction.cycles};
  }
}

TransferCost transfer_cost_of(const Profile& profile,
                              const Instruction& instruction) {
  TransferCost cost;
  cost.bytes = gm_bytes(instruction);
  const double core_factor = profile.assumptions.l2_core_factor;
  const auto penalty_of = writes_gm(instruction) ? write_penalty : row_penalty;
  double penalty =
      penalty_of(profile, instruction.row_bytes, instruction.row_stride,
                 gm_begin(instruction), instruction.m > 1);
  if (writes_gm(instruction)) {
    cost.hit_rate = profile.global.l2_write_rate * core_factor;
    cost.hit_latency_cycles = profile.global.write_latency_cycles;
    cost.miss_latency_cycles = profile.global.write_latency_cycles;
    if (instruction.opcode == Opcode::kFixpipe) {
      const double elements =
          static_cast<double>(instruction.m) * instruction.n;
      cost.least_cycles = elements / profile.exit.fixpipe_elements +
                          profile.exit.fixpipe_cycles;
    } else {
      cost.hit_rate = std::min(cost.hit_rate, profile.vector.ub_to_gm_rate);
      cost.least_cycles = profile.global.dma_issue_cycles;
    }
  } else {
    cost.hit_rate = profile.global.l2_read_rate * core_factor;
    cost.hit_latency_cycles = profile.assumptions.l2_latency_cycles;
    cost.miss_latency_cycles = profile.global.read_latency_cycles;
    cost.least_cycles = profile.global.dma_issue_cycles;
    cost.miss_rate = profile.global.dram_core_rate;
    if (instruction.nd_to_nz) penalty /= profile.assumptions.nd2nz_factor;
  }
  if (instruction.opcode == Opcode::kUnzip) {
    const double output = static_cast<double>(instruction.n) * instruction.k;
    cost.hit_rate = std::min(
        cost.hit_rate, profile.assumptions.unzip_rate * cost.bytes / output);
    penalty = 1;
  }
  cost.hit_rate /= penalty;
  cost.miss_rate /= penalty;
  return cost;
}

}  // namespace tessera::npu
