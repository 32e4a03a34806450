// SPDX-License-Identifier: Apache-2.0
//
// Asks CPUID, and XGETBV whether the operating system saves the registers.

#include "backends/cpu/kernels/isa.hpp"

#include <stdint.h>

#include "backends/cpu/kernels/amx/amx_probe.hpp"

#if defined(__x86_64__)
#include <cpuid.h>
#endif
#if defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace tessera::cpu {
namespace {

struct IsaName {
  Isa isa;
  const char* name;
};
constexpr IsaName kIsaNames[] = {
    {Isa::kScalar, "scalar"},         {Isa::kAvx2, "avx2"},
    {Isa::kAvx512, "avx512"},         {Isa::kAvx512Vnni, "avx512vnni"},
    {Isa::kAvx512Bf16, "avx512bf16"}, {Isa::kAmx, "amx"},
};

#if defined(__x86_64__)

constexpr bool has_all(uint64_t flags, uint64_t wanted) {
  return (flags & wanted) == wanted;
}

// Bits of XCR0: SSE and AVX state; with opmask and both halves of zmm.
constexpr uint64_t kYmmState = 0x06;
constexpr uint64_t kZmmState = 0xe6;

uint64_t read_xcr0() {
  uint32_t low = 0;
  uint32_t high = 0;
  __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return (static_cast<uint64_t>(high) << 32) | low;
}

Isa detect_vectors() {
  uint32_t a = 0;
  uint32_t b = 0;
  uint32_t c = 0;
  uint32_t d = 0;
  if (__get_cpuid(1, &a, &b, &c, &d) == 0) return Isa::kScalar;
  constexpr uint32_t kLeaf1 = bit_FMA | bit_AVX | bit_F16C | bit_OSXSAVE;
  if (!has_all(c, kLeaf1)) return Isa::kScalar;
  const uint64_t state = read_xcr0();
  if (__get_cpuid_count(7, 0, &a, &b, &c, &d) == 0) return Isa::kScalar;

  if (!has_all(state, kYmmState) || !has_all(b, bit_AVX2)) return Isa::kScalar;
  constexpr uint32_t kAvx512Leaf7 =
      bit_AVX512F | bit_AVX512BW | bit_AVX512DQ | bit_AVX512VL;
  if (!has_all(state, kZmmState) || !has_all(b, kAvx512Leaf7)) {
    return Isa::kAvx2;
  }
  if (!has_all(c, bit_AVX512VNNI)) return Isa::kAvx512;
  constexpr uint32_t kAvx512Bf16 = 1U << 5;  // leaf 7, sub-leaf 1, eax
  const bool has_vbmi = has_all(c, bit_AVX512VBMI | bit_AVX512VBMI2);
  const bool has_bf16 =
      __get_cpuid_count(7, 1, &a, &b, &c, &d) != 0 && has_all(a, kAvx512Bf16);
  return has_vbmi && has_bf16 ? Isa::kAvx512Bf16 : Isa::kAvx512Vnni;
}

bool has_tiles() {
  constexpr uint64_t kTileState = 0x60000;  // XTILECFG and XTILEDATA
  constexpr uint32_t kAmxBf16 = 1U << 22;   // leaf 7, edx
  constexpr uint32_t kAmxTile = 1U << 24;
  constexpr uint32_t kAmxInt8 = 1U << 25;
  uint32_t a = 0;
  uint32_t b = 0;
  uint32_t c = 0;
  uint32_t d = 0;
  if (!has_all(read_xcr0(), kTileState)) return false;
  return __get_cpuid_count(7, 0, &a, &b, &c, &d) != 0 &&
         has_all(d, kAmxTile | kAmxInt8 | kAmxBf16);
}

// Linux gives the registers' state to processes that ask for it.
bool ask_for_tiles() {
#if defined(__linux__)
  constexpr long kRequestPermission = 0x1023;  // ARCH_REQ_XCOMP_PERM
  constexpr long kTileData = 18;               // XFEATURE_XTILEDATA
  return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
#else
  return false;
#endif
}

Isa detect() {
  const Isa vectors = detect_vectors();
  if (vectors < Isa::kAvx512Bf16 || !has_tiles() || !ask_for_tiles()) {
    return vectors;
  }
  return amx_multiplies() ? Isa::kAmx : vectors;
}

#else

Isa detect() { return Isa::kScalar; }

#endif

}  // namespace

Isa best_isa() {
  static const Isa best = detect();
  return best;
}

const char* isa_name(Isa isa) {
  for (const IsaName& row : kIsaNames) {
    if (row.isa == isa) return row.name;
  }
  return "unknown";
}

std::optional<Isa> parse_isa(std::string_view name) {
  for (const IsaName& row : kIsaNames) {
    if (name == row.name) return row.isa;
  }
  return std::nullopt;
}

}  // namespace tessera::cpu
