// SPDX-License-Identifier: Apache-2.0
//
// How long an instruction takes on its pipe: bytes or work over a rate, plus
// an overhead.

#pragma once

#include <cstdint>

#include "backends/npu_sim/machine/stream.hpp"
#include "backends/npu_sim/profile/profile.hpp"

namespace tessera::npu {

// Of instructions that use no shared memory.
struct Cost {
  double occupied_cycles = 0;  // until the pipe takes the next
  double complete_cycles = 0;  // until a flag after it may be seen
};

// Of those that move data to or from GM.
struct TransferCost {
  double bytes = 0;         // of GM that L2 serves, penalties included
  double hit_rate = 0;      // bytes a cycle of this core from or to L2
  double miss_rate = 0;     // from or to DRAM; 0: as hit_rate
  double least_cycles = 0;  // on the pipe
  double hit_latency_cycles = 0;
  double miss_latency_cycles = 0;
};

// K of one fractal of the cube: 16 for f16, 32 for s8, 64 for s4.
constexpr int64_t fractal_k(Type type) { return 256 / bits_of(type); }
// Multiply-accumulates a cycle; 0 if the cube cannot.
int64_t cube_macs(const Profile& profile, Type type);
double mmad_cycles(const Profile& profile, Type type, int64_t m, int64_t n,
                   int64_t k);

// Whether it takes part in the traffic of L2 and DRAM.
bool uses_gm(const Instruction& instruction);
// Bytes an instruction moves in GM, without penalties.
double gm_bytes(const Instruction& instruction);
bool writes_gm(const Instruction& instruction);
// Where it begins in GM.  Indices are timed as if each were its own number, so
// no two copies share an entry.
uint64_t gm_begin(const Instruction& instruction);

// Requires  not uses_gm(instruction), not a flag.
Cost cost_of(const Profile& profile, const Instruction& instruction);

// Requires  uses_gm(instruction).
TransferCost transfer_cost_of(const Profile& profile,
                              const Instruction& instruction);

// What all of L2 takes for bytes that all cores move together; 0 if only cores
// limit it.
double l2_cycles(const Profile& profile, double bytes);

// Time over time without penalty, of rows of row_bytes that start row_stride
// apart: rows off a line of L2 touch one line more.
double row_penalty(const Profile& profile, double row_bytes,
                   uint64_t row_stride, uint64_t first, bool many_rows);
// The same of a write, which reads beats of 32 bytes first where it has only a
// part of them; assumed, for only what reads lose is documented.
double write_penalty(const Profile& profile, double row_bytes,
                     uint64_t row_stride, uint64_t first, bool many_rows);

}  // namespace tessera::npu
