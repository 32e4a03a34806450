// SPDX-License-Identifier: Apache-2.0
//
// Which level a processor has by what it announces.

#include "backends/cpu/kernels/isa.hpp"

#include <gtest/gtest.h>

#include <functional>

#include "backends/cpu/kernels/cpu_registers.hpp"

namespace tessera::cpu {
namespace {

// What a Sapphire Rapids announces under Linux.
CpuRegisters sapphire_rapids() {
  CpuRegisters cpu;
  cpu.leaf1_ecx = 0x7ffefbff;
  cpu.leaf7_ebx = 0xf1bf2ffb;
  cpu.leaf7_ecx = 0x1b415f7e;
  cpu.leaf7_edx = 0xffdd4432;
  cpu.leaf7_1_eax = 0x1c30;
  cpu.leaf1d_1_eax = 1024 << 16 | 8192;
  cpu.leaf1d_1_ebx = 8 << 16 | 64;
  cpu.leaf1d_1_ecx = 16;
  cpu.leaf1e_ebx = 64 << 8 | 16;
  cpu.xcr0 = 0x602e7;
  return cpu;
}

TEST(AnnouncedIsa, IsAmxWithAllOfIt) {
  EXPECT_EQ(announced_isa(sapphire_rapids()), Isa::kAmx);
}

TEST(AnnouncedIsa, IsScalarWhereNothingIsAnnounced) {
  EXPECT_EQ(announced_isa({}), Isa::kScalar);
}

TEST(AnnouncedIsa, LacksWhatOneMissingBitTakes) {
  struct Case {
    const char* what;
    std::function<void(CpuRegisters&)> spoil;
    Isa level;
  };
  const auto without = [](uint32_t CpuRegisters::*member, int bit) {
    return [=](CpuRegisters& cpu) { cpu.*member &= ~(1U << bit); };
  };
  const auto without_state = [](uint64_t bits) {
    return [=](CpuRegisters& cpu) { cpu.xcr0 &= ~bits; };
  };
  const Case cases[] = {
      {"amx-int8", without(&CpuRegisters::leaf7_edx, 25), Isa::kAvx512Bf16},
      {"amx-bf16", without(&CpuRegisters::leaf7_edx, 22), Isa::kAvx512Bf16},
      {"amx-tile", without(&CpuRegisters::leaf7_edx, 24), Isa::kAvx512Bf16},
      {"XTILECFG", without_state(1 << 17), Isa::kAvx512Bf16},
      {"XTILEDATA", without_state(1 << 18), Isa::kAvx512Bf16},
      {"palette 1",
       [](CpuRegisters& cpu) { cpu.leaf1d_1_eax = cpu.leaf1d_1_ebx = 0; },
       Isa::kAvx512Bf16},
      {"eight tiles",
       [](CpuRegisters& cpu) { cpu.leaf1d_1_ebx = 4 << 16 | 64; },
       Isa::kAvx512Bf16},
      {"rows of 64 bytes",
       [](CpuRegisters& cpu) { cpu.leaf1d_1_ebx = 8 << 16 | 32; },
       Isa::kAvx512Bf16},
      {"16 rows", [](CpuRegisters& cpu) { cpu.leaf1d_1_ecx = 8; },
       Isa::kAvx512Bf16},
      {"products of 16 lines",
       [](CpuRegisters& cpu) { cpu.leaf1e_ebx = 64 << 8 | 8; },
       Isa::kAvx512Bf16},
      {"avx512-bf16", without(&CpuRegisters::leaf7_1_eax, 5), Isa::kAvx512Vnni},
      {"vbmi", without(&CpuRegisters::leaf7_ecx, 1), Isa::kAvx512Vnni},
      {"vbmi2", without(&CpuRegisters::leaf7_ecx, 6), Isa::kAvx512Vnni},
      {"vnni", without(&CpuRegisters::leaf7_ecx, 11), Isa::kAvx512},
      {"avx512f", without(&CpuRegisters::leaf7_ebx, 16), Isa::kAvx2},
      {"avx512dq", without(&CpuRegisters::leaf7_ebx, 17), Isa::kAvx2},
      {"avx512bw", without(&CpuRegisters::leaf7_ebx, 30), Isa::kAvx2},
      {"avx512vl", without(&CpuRegisters::leaf7_ebx, 31), Isa::kAvx2},
      {"opmask", without_state(1 << 5), Isa::kAvx2},
      {"upper zmm", without_state(1 << 7), Isa::kAvx2},
      {"avx2", without(&CpuRegisters::leaf7_ebx, 5), Isa::kScalar},
      {"fma", without(&CpuRegisters::leaf1_ecx, 12), Isa::kScalar},
      {"osxsave", without(&CpuRegisters::leaf1_ecx, 27), Isa::kScalar},
      {"f16c", without(&CpuRegisters::leaf1_ecx, 29), Isa::kScalar},
      {"ymm", without_state(1 << 2), Isa::kScalar},
  };
  for (const Case& c : cases) {
    CpuRegisters cpu = sapphire_rapids();
    c.spoil(cpu);
    EXPECT_EQ(announced_isa(cpu), c.level) << "without " << c.what;
  }
}

TEST(BestIsa, HasANameThatIsParsed) {
  EXPECT_EQ(parse_isa(isa_name(best_isa())), best_isa());
  EXPECT_EQ(parse_isa("avx1024"), std::nullopt);
}

}  // namespace
}  // namespace tessera::cpu
