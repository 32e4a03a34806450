// SPDX-License-Identifier: Apache-2.0
//
// What a processor announces, apart from asking it, so that every combination
// can be tested.

#pragma once

#include <cstdint>

#include "backends/cpu/kernels/isa.hpp"

namespace tessera::cpu {

// Registers of CPUID, named by leaf, sub-leaf and register, and XCR0; 0 where
// there is no such leaf.
// Source  Intel 64 and IA-32 Architectures Software Developer's Manual, volume
//         2: CPUID; volume 1, chapter 13 (XCR0) and section 18.2 (tiles)
struct CpuRegisters {
  uint32_t leaf1_ecx = 0;
  uint32_t leaf7_ebx = 0;
  uint32_t leaf7_ecx = 0;
  uint32_t leaf7_edx = 0;
  uint32_t leaf7_1_eax = 0;
  uint32_t leaf1d_1_eax = 0;  // palette 1 of tiles
  uint32_t leaf1d_1_ebx = 0;
  uint32_t leaf1d_1_ecx = 0;
  uint32_t leaf1e_ebx = 0;  // the unit that multiplies them
  uint64_t xcr0 = 0;
};

// The best level that these announce.  kAmx needs tiles as large as AmxTiles
// takes them, and products of both int8 and bf16: with one of the two alone the
// level is the one before.
Isa announced_isa(const CpuRegisters& cpu);

}  // namespace tessera::cpu
