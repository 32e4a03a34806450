// SPDX-License-Identifier: Apache-2.0
//
// Asks CPUID, and XGETBV whether the operating system saves the registers.

#include "backends/cpu/kernels/isa.hpp"

#include <stdint.h>

#include "backends/cpu/kernels/amx/amx_probe.hpp"
#include "backends/cpu/kernels/cpu_registers.hpp"

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

constexpr bool has_all(uint64_t flags, uint64_t wanted) {
  return (flags & wanted) == wanted;
}
constexpr uint32_t bit(int i) { return 1U << i; }
constexpr uint32_t field(uint32_t bits, int from, int count) {
  return bits >> from & ((1U << count) - 1);
}

Isa announced_vectors(const CpuRegisters& cpu) {
  constexpr uint64_t kYmmState = 0x06;  // SSE and AVX
  constexpr uint64_t kZmmState = 0xe6;  // and opmask, both halves of zmm
  constexpr uint32_t kAvx = bit(12) | bit(27) | bit(28) | bit(29);
  constexpr uint32_t kAvx2 = bit(5);
  constexpr uint32_t kAvx512 = bit(16) | bit(17) | bit(30) | bit(31);
  constexpr uint32_t kVnni = bit(11);
  constexpr uint32_t kVbmi = bit(1) | bit(6);
  constexpr uint32_t kBf16 = bit(5);
  // FMA, OSXSAVE, AVX and F16C.
  if (!has_all(cpu.leaf1_ecx, kAvx) || !has_all(cpu.xcr0, kYmmState) ||
      !has_all(cpu.leaf7_ebx, kAvx2)) {
    return Isa::kScalar;
  }
  // F, DQ, BW and VL.
  if (!has_all(cpu.xcr0, kZmmState) || !has_all(cpu.leaf7_ebx, kAvx512)) {
    return Isa::kAvx2;
  }
  if (!has_all(cpu.leaf7_ecx, kVnni)) return Isa::kAvx512;
  return has_all(cpu.leaf7_ecx, kVbmi) && has_all(cpu.leaf7_1_eax, kBf16)
             ? Isa::kAvx512Bf16
             : Isa::kAvx512Vnni;
}

bool announces_tiles(const CpuRegisters& cpu) {
  constexpr uint64_t kTileState = 0x60000;  // XTILECFG and XTILEDATA
  constexpr uint32_t kAmx = bit(22) | bit(24) | bit(25);  // bf16, tiles, int8
  if (!has_all(cpu.xcr0, kTileState) || !has_all(cpu.leaf7_edx, kAmx)) {
    return false;
  }
  const bool are_large = field(cpu.leaf1d_1_eax, 16, 16) >= 1024 &&
                         field(cpu.leaf1d_1_ebx, 0, 16) >= 64 &&
                         field(cpu.leaf1d_1_ebx, 16, 16) >= 8 &&
                         field(cpu.leaf1d_1_ecx, 0, 16) >= 16;
  return are_large && field(cpu.leaf1e_ebx, 0, 8) >= 16 &&
         field(cpu.leaf1e_ebx, 8, 16) >= 64;
}

#if defined(__x86_64__)

uint64_t read_xcr0() {
  uint32_t low = 0;
  uint32_t high = 0;
  __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return (static_cast<uint64_t>(high) << 32) | low;
}

struct Leaf {
  uint32_t a = 0;
  uint32_t b = 0;
  uint32_t c = 0;
  uint32_t d = 0;
};
Leaf read_leaf(uint32_t leaf, uint32_t sub_leaf) {
  Leaf out;
  if (__get_cpuid_count(leaf, sub_leaf, &out.a, &out.b, &out.c, &out.d) == 0) {
    return {};
  }
  return out;
}

CpuRegisters read_registers() {
  CpuRegisters cpu;
  cpu.leaf1_ecx = read_leaf(1, 0).c;
  const Leaf leaf7 = read_leaf(7, 0);
  cpu.leaf7_ebx = leaf7.b;
  cpu.leaf7_ecx = leaf7.c;
  cpu.leaf7_edx = leaf7.d;
  cpu.leaf7_1_eax = read_leaf(7, 1).a;
  const Leaf palette = read_leaf(0x1d, 1);
  cpu.leaf1d_1_eax = palette.a;
  cpu.leaf1d_1_ebx = palette.b;
  cpu.leaf1d_1_ecx = palette.c;
  cpu.leaf1e_ebx = read_leaf(0x1e, 0).b;
  if (has_all(cpu.leaf1_ecx, bit(27))) cpu.xcr0 = read_xcr0();
  return cpu;
}

// Linux gives the registers' state to processes that ask for it.
bool ask_for_tiles() {
#if defined(__linux__)
  constexpr long kGetPermission = 0x1022;      // ARCH_GET_XCOMP_PERM
  constexpr long kRequestPermission = 0x1023;  // ARCH_REQ_XCOMP_PERM
  constexpr long kTileData = 18;               // XFEATURE_XTILEDATA
  uint64_t permitted = 0;
  return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0 &&
         syscall(SYS_arch_prctl, kGetPermission, &permitted) == 0 &&
         has_all(permitted, uint64_t{1} << kTileData);
#else
  return false;
#endif
}

Isa detect() {
  const Isa announced = announced_isa(read_registers());
  if (announced < Isa::kAmx) return announced;
  return ask_for_tiles() && amx_multiplies() ? Isa::kAmx : Isa::kAvx512Bf16;
}

#else

Isa detect() { return Isa::kScalar; }

#endif

}  // namespace

Isa announced_isa(const CpuRegisters& cpu) {
  const Isa vectors = announced_vectors(cpu);
  return vectors == Isa::kAvx512Bf16 && announces_tiles(cpu) ? Isa::kAmx
                                                             : vectors;
}

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
