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
};

// The best level that both the processor and the operating system support.
// Threads: any; the answer never changes.
Isa best_isa();

// Whether int8 tiles (AMX) can be used; no kernels of ours need them yet.
// Threads: any; the answer never changes.
bool has_amx_int8();

// "scalar", "avx2", "avx512", "avx512vnni" or "avx512bf16", as in the names of
// kernels.
const char* isa_name(Isa isa);

// The level of that name; nothing if there is none.
std::optional<Isa> parse_isa(std::string_view name);

}  // namespace tessera::cpu
