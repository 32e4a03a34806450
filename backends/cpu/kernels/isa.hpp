// SPDX-License-Identifier: Apache-2.0
//
// The instruction sets that kernels are built for, and which of them this
// machine can run.

#pragma once

#include <optional>
#include <string_view>

namespace tessera::cpu {

// Each level includes the ones before it, so levels compare with <.
enum class Isa {
  kScalar,      // C++ alone
  kAvx2,        // AVX2, FMA, F16C
  kAvx512,      // F, BW, DQ, VL
  kAvx512Vnni,  // and VNNI
  kAvx512Bf16,  // and BF16, VBMI, VBMI2
  kAmx,         // and AMX tiles of int8 and bf16
};

// The best level that both the processor and the operating system support.
// Tiles are asked of the system for the whole process, and count only if a
// product by them is right: some hosts of virtual machines announce what they
// do not keep. Threads: any; the answer never changes.
Isa best_isa();

// "scalar", "avx2", "avx512", "avx512vnni", "avx512bf16" or "amx", as in the
// names of kernels.
const char* isa_name(Isa isa);

// The level of that name; nothing if there is none.
std::optional<Isa> parse_isa(std::string_view name);

}  // namespace tessera::cpu
