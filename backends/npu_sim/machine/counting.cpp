// SPDX-License-Identifier: Apache-2.0
//
// Bytes at each level and multiply-accumulates, by opcode.

#include "backends/npu_sim/machine/counting.hpp"

#include "backends/npu_sim/machine/costs.hpp"

namespace tessera::npu {
namespace {

constexpr int64_t kFractalRows = 16;
constexpr double kFractalBytes = 512;

double padded(int64_t elements, int64_t to) {
  const int64_t whole = (elements + to - 1) / to * to;
  return static_cast<double>(whole);
}

void count_mmad(const Instruction& mmad, Counters& counters) {
  const double macs = padded(mmad.m, kFractalRows) *
                      padded(mmad.n, kFractalRows) *
                      padded(mmad.k, fractal_k(mmad.type));
  if (mmad.type == Type::kS8) {
    counters.macs_s8 += macs;
  } else if (mmad.type == Type::kS4) {
    counters.macs_s4 += macs;
  } else if (mmad.type == Type::kF8) {
    counters.macs_f8 += macs;
  } else {
    counters.macs_f16 += macs;
  }
}

void count_load(const Instruction& load, Counters& counters) {
  const int64_t rows = load.opcode == Opcode::kLoadA ? load.m : load.n;
  const double bytes = padded(rows, kFractalRows) / kFractalRows *
                       padded(load.k, fractal_k(load.type)) /
                       static_cast<double>(fractal_k(load.type)) *
                       kFractalBytes;
  counters.l1_read_bytes += bytes;
  counters.l0_bytes += 2 * bytes;  // written here, read by the cube
}

}  // namespace

void count(const Instruction& one, Counters& counters) {
  const double elements = static_cast<double>(one.m) * one.n;
  const double element_bytes = static_cast<double>(bits_of(one.type)) / 8;
  switch (one.opcode) {
    case Opcode::kMmad:
      count_mmad(one, counters);
      break;
    case Opcode::kLoadA:
    case Opcode::kLoadB:
      count_load(one, counters);
      break;
    case Opcode::kCopyIn:
      (one.dst_space == Space::kL1 ? counters.l1_write_bytes
                                   : counters.gm_to_ub_bytes) += gm_bytes(one);
      break;
    case Opcode::kUnzip:
      counters.unzip_bytes += static_cast<double>(one.n) * one.k;
      counters.l1_write_bytes += static_cast<double>(one.n) * one.k;
      break;
    case Opcode::kFixpipe:
    case Opcode::kDrain:
      counters.l0_bytes += 4 * elements;
      break;
    case Opcode::kVector:
      counters.vector_elements += elements;
      counters.vector_read_bytes += elements * element_bytes;
      counters.vector_write_bytes += elements * element_bytes;
      break;
    case Opcode::kCopyOut:
      if (one.dst_space == Space::kL1) counters.l1_write_bytes += gm_bytes(one);
      (one.dst_space == Space::kL1 ? counters.ub_to_l1_bytes
                                   : counters.ub_to_gm_bytes) += gm_bytes(one);
      break;
    default:
      break;
  }
}

}  // namespace tessera::npu
